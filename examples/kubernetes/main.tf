# The platform of the quickstart on a Kubernetes cluster: the same module, another site, stores that a cluster can share.
#
#   cp terraform.tfvars.example terraform.tfvars   # your cluster, images and stores
#   terraform init && terraform plan && terraform apply

terraform {
  required_providers {
    streamverse = {
      source = "registry.terraform.io/streamverse/streamverse"
    }
  }
}

variable "deployment" {
  description = "The name of this installation."
  type        = string
  default     = "video"
}

variable "cluster" {
  description = "How the cluster is reached: `kubeconfig` and `context`, or `host`, `cluster_ca_certificate` and `token`."
  type = object({
    kubeconfig             = optional(string)
    context                = optional(string)
    host                   = optional(string)
    cluster_ca_certificate = optional(string)
    token                  = optional(string)
    namespace              = optional(string)
    expose                 = optional(string)
  })
  default = {}
}

variable "images" {
  description = "Images by digest: streamverse and traffic_server."
  type        = map(string)
}

variable "object_store" {
  description = "A bucket, as `modules/platform` takes it."
  type        = any
}

variable "event_log" {
  description = "An Apache Kafka cluster, as `modules/platform` takes it."
  type        = any
}

variable "catalogue" {
  description = "A PostgreSQL database, as `modules/platform` takes it."
  type        = any
}

variable "cache" {
  description = "A Redis server, as `modules/platform` takes it."
  type        = any
  default     = null
}

variable "assets" {
  description = "Videos by name, as `modules/platform` takes them."
  type        = any
  default     = {}
}

variable "protection" {
  description = "Encryption and licences, as `modules/platform` takes it."
  type        = any
  default     = null
}

variable "channels" {
  description = "Channels by name, as `modules/platform` takes them."
  type        = any
  default     = {}
}

variable "public_url" {
  description = "Where browsers reach the edge: of its load balancer, or http://127.0.0.1:8081 while you forward its port."
  type        = string
  default     = null
}

provider "streamverse" {
  deployment = var.deployment
  sites = {
    default = {
      kubernetes = {
        kubeconfig             = try(pathexpand(var.cluster.kubeconfig), null)
        context                = var.cluster.context
        host                   = var.cluster.host
        cluster_ca_certificate = var.cluster.cluster_ca_certificate
        token                  = var.cluster.token
        namespace              = var.cluster.namespace
        expose                 = var.cluster.expose
        images                 = var.images
      }
    }
  }
}

module "platform" {
  source       = "../../modules/platform"
  title        = "StreamVerse on Kubernetes"
  replicas     = 2
  object_store = var.object_store
  event_log    = var.event_log
  catalogue    = var.catalogue
  cache        = var.cache
  assets       = var.assets
  protection   = var.protection
  channels     = var.channels
  public_url   = var.public_url
}

output "page" {
  value = module.platform.page
}

output "edge" {
  value = module.platform.edge
}

output "port_forwards" {
  description = "Commands that bring the page and the edge to this machine."
  value = [
    for it in ["web-player-main-page-http 8000:8000", "ats-edge-main-edge-http 8081:8081"] :
    "kubectl --namespace ${coalesce(var.cluster.namespace, var.deployment)} port-forward service/${var.deployment}-${it}"
  ]
}
