resource "corner_resumable" "example" {
  name     = "continued by the next apply"
  timeouts = { create = "30s" }
}
