resource "streamverse_ats_edge" "main" {
  name    = "main"
  port    = 8081
  origins = [{ url = "http://127.0.0.1:8080" }]
  storage = "10GiB"
  memory  = "512MiB"
  routes  = [{ path = "/channel/", url = "http://127.0.0.1:8090" }]
  cache   = { manifests = "2s", stale = "1h" }
}
