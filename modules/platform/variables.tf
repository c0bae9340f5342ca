variable "name" {
  description = "Begins the name of everything that the module makes."
  type        = string
  default     = "main"
}

variable "site" {
  description = "The site; the default one where none is given."
  type        = string
  default     = null
}

variable "title" {
  description = "What the page is called."
  type        = string
  default     = "StreamVerse"
}

variable "assets" {
  description = "Videos by name."
  type = map(object({
    title = optional(string)
    source = object({
      url           = string
      digest        = string
      allow_private = optional(bool, false)
    })
    subtitles = optional(list(object({
      language = string
      label    = optional(string)
      source = object({
        url           = string
        digest        = string
        allow_private = optional(bool, false)
      })
    })))
    # Encrypted, as `protection` says.
    protected = optional(bool, false)
    # Whether the page lists it: a spot or a slate is no video.
    listed = optional(bool, true)
  }))
  default = {}
}

variable "protection" {
  description = "How `protected` videos are encrypted, and who gets licences for them; none where none is given. Secrets are references."
  type = object({
    # As `streamverse_key_service` takes them.
    key_encryption_key = any
    access_key_ref     = string
    # Opens the licence service's admin API, which writes grants.
    admin_token_ref = string
    # Signs viewers' tokens (HS256, key id `demo`): your own sign-in has it too.
    token_key_ref = string
    # A Redis that evicts nothing, as `cache` takes it: with it, `replicas` licence services run, and remember together which
    # tokens were used.
    token_cache = optional(object({
      host         = string
      port         = optional(number)
      database     = optional(number)
      password_ref = optional(string)
      tls = optional(object({
        ca              = optional(string)
        certificate     = optional(string)
        private_key_ref = optional(string)
      }))
    }))
    scheme                 = optional(string, "cbcs")
    systems                = optional(list(string), ["clearkey"])
    crypto_period_segments = optional(number)
    packages               = optional(list(object({ name = string, assets = list(string) })), [{ name = "all", assets = ["*"] }])
    streams                = optional(number, 2)
    devices                = optional(number, 5)
    licence_duration       = optional(string, "2m")
    # Accounts for which the page signs tokens for anybody who opens it, to show how it works; in production there are none.
    viewers = optional(list(object({ id = string, title = optional(string) })), [])
  })
  default = null
}

variable "channels" {
  description = "24/7 channels by name: which videos play one after the other, and what plays in breaks."
  type = map(object({
    title     = optional(string)
    port      = optional(number, 8092)
    start     = optional(string, "2026-01-01T00:00:00Z")
    time_zone = optional(string, "UTC")
    items     = list(string)
    filler    = optional(list(string), [])
    # What plays when nothing else can.
    slate = string
    # How long an ad break is, where it is in a programme, and what plays in it; slate where nothing does.
    ad_break     = optional(string)
    ad_positions = optional(list(string))
    spots        = optional(list(string), [])
    horizon      = optional(string, "5m")
  }))
  default = {}
}

variable "object_store" {
  description = "A bucket, as `s3` of streamverse_object_store takes it; a place of the site where none is given."
  type = object({
    bucket                = string
    prefix                = optional(string)
    region                = optional(string)
    endpoint              = optional(string)
    access_key_id         = optional(string)
    secret_access_key_ref = optional(string)
    tls                   = optional(object({ ca = optional(string) }))
  })
  default = null
}

variable "event_log" {
  description = "An Apache Kafka cluster, as `kafka` of streamverse_event_log takes it; a log of the site where none is given."
  type = object({
    brokers      = list(string)
    topic_prefix = optional(string)
    partitions   = optional(number)
    replication  = optional(number)
    retention    = optional(string)
    username     = optional(string)
    password_ref = optional(string)
    sasl         = optional(string)
    tls = optional(object({
      ca              = optional(string)
      certificate     = optional(string)
      private_key_ref = optional(string)
    }))
  })
  default = null
}

variable "catalogue" {
  description = "A database, as `postgres` of streamverse_catalogue takes it; one of the site where none is given."
  type = object({
    host         = string
    port         = optional(number)
    user         = string
    database     = string
    password_ref = optional(string)
    tls = optional(object({
      ca              = optional(string)
      certificate     = optional(string)
      private_key_ref = optional(string)
    }))
  })
  default = null
}

variable "cache" {
  description = "A server that speaks Redis's protocol, as `redis` of streamverse_cache takes it; none where none is given."
  type = object({
    host         = string
    port         = optional(number)
    database     = optional(number)
    password_ref = optional(string)
    tls = optional(object({
      ca              = optional(string)
      certificate     = optional(string)
      private_key_ref = optional(string)
    }))
  })
  default = null
}

variable "replicas" {
  description = "Origins side by side."
  type        = number
  default     = 1
}

variable "segment_duration" {
  description = "Length of a segment."
  type        = string
  default     = "4s"
}

variable "video" {
  description = "Video renditions."
  type        = list(object({ name = string, height = number, bit_rate = number }))
  default = [
    { name = "720p", height = 720, bit_rate = 2500000 },
    { name = "480p", height = 480, bit_rate = 1200000 },
    { name = "240p", height = 240, bit_rate = 400000 },
  ]
}

variable "audio" {
  description = "Audio renditions."
  type        = list(object({ name = string, bit_rate = number }))
  default     = [{ name = "stereo", bit_rate = 128000 }]
}

variable "concurrency" {
  description = "How many encodes run side by side."
  type        = number
  default     = 2
}

variable "edge_storage" {
  description = "The edge's cache on disk."
  type        = string
  default     = "256MiB"
}

variable "public_url" {
  description = "Where viewers reach the edge, such as https://video.example; its address on the site where none is given. On a cluster that address works inside only."
  type        = string
  default     = null
}

variable "ports" {
  description = "TCP ports."
  type = object({
    origin  = number
    edge    = number
    page    = number
    keys    = optional(number, 8095)
    licence = optional(number, 8090)
    admin   = optional(number, 8091)
    guide   = optional(number, 8093)
  })
  default = { origin = 8080, edge = 8081, page = 8000 }
}
