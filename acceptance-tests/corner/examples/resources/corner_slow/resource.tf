resource "corner_slow" "example" {
  takes    = "500ms"
  timeouts = { create = "30s" }
}
