resource "streamverse_runpod_registry_credential" "main" {
  name         = "main"
  username     = "robot"
  password_ref = "env:REGISTRY_PASSWORD"

  lifecycle {
    create_before_destroy = true
  }
}
