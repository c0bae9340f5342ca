resource "corner_validated" "example" {
  label       = "web"
  protocol    = "quic"
  certificate = "web.pem"
  by_name     = "web-1"
  user        = "ada"
  group       = "staff"
  rules       = [{ from = 1000, to = 2000 }]
}
