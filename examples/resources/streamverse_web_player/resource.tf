resource "streamverse_web_player" "page" {
  name      = "page"
  title     = "My TV"
  catalogue = "sqlite://default/main"
  delivery  = "http://127.0.0.1:8081"
}
