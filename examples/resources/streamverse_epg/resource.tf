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

resource "streamverse_epg" "main" {
  name       = "main"
  channels   = [streamverse_fast_channel.one.definition]
  days_ahead = 7
}
