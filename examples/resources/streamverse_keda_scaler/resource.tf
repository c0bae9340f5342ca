# Workers by what waits for them: none at night, as many as the topic has partitions when there is much to do.
resource "streamverse_keda_scaler" "workers" {
  name   = "workers"
  site   = "london"
  target = { kind = "transcoder", name = "main" }
  min    = 0
  max    = 12
  queue  = { event_log = "kafka://kafka.example:9092?partitions=12" }
}

# Origins by CPU and memory.
resource "streamverse_keda_scaler" "origins" {
  name   = "origins"
  site   = "london"
  target = { kind = "origin", name = "main" }
  min    = 2
  max    = 20
}
