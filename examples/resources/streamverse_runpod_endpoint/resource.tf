resource "streamverse_runpod_endpoint" "main" {
  name    = "main"
  image   = "registry.example/worker:1"
  scaling = { queue_delay = "4s" }
  gpu     = { pools = ["ADA_48_PRO", "AMPERE_24"] }
  workers = { max = 5, idle_timeout = "30s" }
}
