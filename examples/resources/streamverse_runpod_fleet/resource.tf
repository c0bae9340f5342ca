# Two kinds of GPU that encode, in two places and wherever there is one.
resource "streamverse_runpod_fleet" "encode" {
  name       = "encode"
  controller = "main"
  transcoder = "main"
  image      = "registry.example.org/streamverse-worker:1"

  candidates = [
    { gpu = "L40S", data_centre = "EU-RO-1" },
    { gpu = "L40S", data_centre = "US-KS-2" },
    { gpu = "L4" },
  ]

  range = {
    min            = 0
    max            = 8
    price_ceiling  = 1.2
    monthly_budget = 400
  }

  schedule = { idle = "15m", night = { from = "23:00", to = "06:00", time_zone = "Europe/Berlin" } }

  queue = { event_log = "kafka://kafka.example.org:9093?partitions=12&secret=event-log.work" }
}

# An image that knows by itself what to do: without a queue there are always `min`.
resource "streamverse_runpod_fleet" "filter" {
  name       = "filter"
  controller = "main"
  image      = "registry.example.org/filter:3"
  candidates = [{ gpu = "A100" }, { gpu = "H100" }]
  range      = { min = 1, max = 2 }
}
