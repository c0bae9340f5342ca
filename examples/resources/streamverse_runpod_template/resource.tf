resource "streamverse_runpod_template" "main" {
  name    = "main"
  image   = "registry.example/streamverse:0.1.0"
  args    = "run --target transcoder"
  disk_gb = 40
  ports   = ["8080/http"]
}
