resource "streamverse_fast_channel" "one" {
  name         = "one"
  object_store = "file://default/media"
  catalogue    = "sqlite://default/main"
  start        = "2026-12-01T05:00:00Z"
  sources = {
    film  = { title = "A Film", duration_ms = 5400000 }
    slate = {}
  }
  schedule = { order = { items = ["film"] } }
  slate    = "slate"
}

data "streamverse_schedule" "new_year" {
  channel = streamverse_fast_channel.one.definition
  at      = "2027-01-01T00:00:00Z"
}

output "into_the_new_year" {
  value = data.streamverse_schedule.new_year.on.title
}
