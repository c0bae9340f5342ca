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
  }))
  default = {}
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

variable "ports" {
  description = "TCP ports."
  type        = object({ origin = number, edge = number, page = number })
  default     = { origin = 8080, edge = 8081, page = 8000 }
}
