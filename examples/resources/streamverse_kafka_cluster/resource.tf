resource "streamverse_kafka_cluster" "events" {
  name    = "events"
  site    = "london"
  brokers = 3
  storage = "200GiB"
  topics = {
    work = { partitions = 24, retention = "1day", rate = "1MiB" }
  }
}
