resource "streamverse_catalogue" "main" {
  name = "main"
}
