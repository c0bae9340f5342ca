# What `cargo xtask quickstart` applies: a platform on this host. Change something here and apply again.

terraform {
  required_providers {
    streamverse = {
      source = "registry.terraform.io/streamverse/streamverse"
    }
  }
}

provider "streamverse" {
  deployment = "quickstart"
  sites      = { default = { node = { socket = var.socket } } }
}

variable "socket" {
  description = "The node agent's socket."
  type        = string
  default     = null
}

variable "assets" {
  description = "Videos by name, as `modules/platform` takes them."
  type        = any
  default     = {}
}

module "platform" {
  source = "../../modules/platform"
  title  = "StreamVerse quickstart"
  assets = var.assets
}

output "page" {
  value = module.platform.page
}

output "playback" {
  value = module.platform.playback
}
