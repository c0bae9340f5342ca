resource "streamverse_cache" "main" {
  name = "main"
  redis = {
    host         = "dragonfly.example.org"
    password_ref = "env:CACHE_PASSWORD"
  }
}
