# What a fleet's pods are made from, with `template_id` of streamverse_runpod_fleet instead of `image`. The image runs `streamverse-edge worker`,
# which takes no arguments: the controller says by the environment whose worker it is.
resource "streamverse_runpod_template" "main" {
  name    = "main"
  image   = "registry.example.org/streamverse-worker:1"
  disk_gb = 40
}
