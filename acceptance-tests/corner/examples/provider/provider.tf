terraform {
  required_providers {
    corner = {
      source = "registry.terraform.io/streamverse/corner"
    }
  }
}

provider "corner" {
  label = "whatever"
}
