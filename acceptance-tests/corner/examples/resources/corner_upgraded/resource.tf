resource "corner_upgraded" "example" {
  host = "cache.example"
  port = 11211
}
