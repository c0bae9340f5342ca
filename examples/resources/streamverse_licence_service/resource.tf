resource "streamverse_licence_service" "main" {
  name        = "main"
  port        = 8090
  admin_port  = 8091
  key_service = "keys://127.0.0.1:8095?secret=key-service.main"
  catalogue   = "sqlite://default/main"
  policy = jsonencode({
    packages         = [{ name = "basic", assets = ["*"] }]
    purchases        = true
    streams          = 2
    devices          = 5
    licence_duration = "2m"
  })
  token = {
    issuer   = "https://shop.example.org"
    audience = "tv"
  }
  token_keys = {
    "2026-11" = { secret_ref = "env:LICENCE_TOKEN_SECRET" }
  }
  admin_token_ref = "env:LICENCE_ADMIN_TOKEN"
  allowed_origins = ["https://tv.example.org"]
}
