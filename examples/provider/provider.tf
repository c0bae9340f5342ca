terraform {
  required_providers {
    streamverse = {
      source = "registry.terraform.io/streamverse/streamverse"
    }
  }
}

provider "streamverse" {
  deployment = "production"
  sites = {
    default = { node = {} }
  }
}
