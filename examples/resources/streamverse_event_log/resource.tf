resource "streamverse_event_log" "work" {
  name = "work"
}
