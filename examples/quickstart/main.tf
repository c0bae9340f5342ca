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

variable "protection" {
  description = "Encryption and licences, as `modules/platform` takes it: references to secrets, never secrets."
  type        = any
  default     = null
}

variable "channels" {
  description = "Channels by name, as `modules/platform` takes them."
  type        = any
  default     = {}
}

# Stores of your own instead of those of this host: addresses only, everything else stays.
variable "stores" {
  description = "Any of object_store (S3), event_log (Kafka), catalogue (PostgreSQL), cache (Redis)."
  type        = any
  default     = {}
}

variable "ports" {
  description = "Where it listens."
  type        = any
  default     = { origin = 8080, edge = 8081, page = 8000 }
}

module "platform" {
  source       = "../../modules/platform"
  title        = "StreamVerse quickstart"
  assets       = var.assets
  protection   = var.protection
  channels     = var.channels
  ports        = var.ports
  object_store = try(var.stores.object_store, null)
  event_log    = try(var.stores.event_log, null)
  catalogue    = try(var.stores.catalogue, null)
  cache        = try(var.stores.cache, null)
}

output "page" {
  value = module.platform.page
}

output "playback" {
  value = module.platform.playback
}

output "channels" {
  value = module.platform.channels
}

output "licence_admin" {
  value = module.platform.licence_admin
}
