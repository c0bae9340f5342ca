resource "streamverse_runpod_network_volume" "main" {
  name        = "main"
  size_gb     = 100
  data_center = "EU-RO-1"
}
