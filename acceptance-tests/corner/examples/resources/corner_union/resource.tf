resource "corner_union" "example" {
  eviction = "first_in"
  backend  = { file = { path = "/var/cache" } }

  fallbacks = [
    { remote = { address = "cache.example:11211" } },
    { memory = {} },
  ]
}
