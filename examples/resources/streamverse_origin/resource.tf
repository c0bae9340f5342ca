resource "streamverse_origin" "main" {
  name            = "main"
  port            = 8080
  object_store    = "file://default/media"
  catalogue       = "sqlite://default/main"
  allowed_origins = ["https://tv.example.org"]
}
