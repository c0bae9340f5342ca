# A transcoder whose workers are rented while there is work: RunPod pods on Kafka and S3, kept by a controller on this host.
#
#   openssl rand -base64 32 > fleet.identity   # once: another one parts the controller from its workers
#   export RUNPOD_API_KEY=… TF_S3_KEY=…
#   terraform init && terraform plan && terraform apply

terraform {
  required_providers {
    streamverse = {
      source = "registry.terraform.io/streamverse/streamverse"
    }
  }
}

variable "public_url" {
  description = "Where the internet reaches this host's port 9190: https://HOST:PORT."
  type        = string
}

variable "brokers" {
  description = "Kafka brokers that this host and rented workers reach, HOST:PORT."
  type        = list(string)
}

variable "bucket" {
  description = "An S3 bucket, its region, and the id of the access key whose secret is in TF_S3_KEY."
  type        = object({ name = string, region = string, access_key_id = string })
}

variable "image" {
  description = "The image of a worker: it runs `streamverse-edge worker`, and has streamverse and ffmpeg in its PATH."
  type        = string
}

provider "streamverse" {
  deployment = "rented"
}

resource "streamverse_event_log" "work" {
  name  = "work"
  kafka = { brokers = var.brokers, partitions = 12 }
}

resource "streamverse_object_store" "media" {
  name = "media"
  s3 = {
    bucket                = var.bucket.name
    region                = var.bucket.region
    access_key_id         = var.bucket.access_key_id
    secret_access_key_ref = "env:TF_S3_KEY"
  }
}

resource "streamverse_catalogue" "main" {
  name = "main"
}

# It has no worker of its own: the fleet does all the work.
resource "streamverse_transcoder" "main" {
  name         = "main"
  workers      = 0
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}

resource "streamverse_fleet_controller" "main" {
  name           = "main"
  public_url     = var.public_url
  catalogue      = streamverse_catalogue.main.url
  stores         = [streamverse_event_log.work.url, streamverse_object_store.media.url]
  identity_ref   = "file:${abspath(path.root)}/fleet.identity"
  runpod         = { api_key_ref = "env:RUNPOD_API_KEY" }
  monthly_budget = 500
}

resource "streamverse_runpod_fleet" "encode" {
  name       = "encode"
  controller = streamverse_fleet_controller.main.name
  transcoder = streamverse_transcoder.main.name
  image      = var.image

  # In this order: the next one where one has none.
  candidates = [
    { gpu = "L40S", data_centre = "EU-RO-1" },
    { gpu = "L40S", data_centre = "EU-CZ-1" },
    { gpu = "L4" },
  ]

  range    = { min = 0, max = 8, price_ceiling = 1.2, monthly_budget = 400 }
  schedule = { idle = "15m" }
  queue    = { event_log = streamverse_event_log.work.url }
}

output "cost" {
  description = "Dollars per hour and month at most, by the table of that day."
  value = {
    hourly  = streamverse_runpod_fleet.encode.hourly_max
    monthly = streamverse_runpod_fleet.encode.monthly_max
    as_of   = streamverse_runpod_fleet.encode.price_date
  }
}
