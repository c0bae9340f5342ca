resource "streamverse_transcoder" "main" {
  name         = "main"
  concurrency  = 2
  event_log    = "embedded://default/work"
  object_store = "file://default/media"
  catalogue    = "sqlite://default/main"
}
