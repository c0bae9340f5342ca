resource "corner_spelling" "example" {
  json     = jsonencode({ b = 2, a = 1 })
  duration = "90m" # the same as "1h30m"
  size     = "1024 MiB"
  cidr     = "10.0.0.0/8"
  address  = "2001:db8::1"
  time     = "2026-01-01T01:00:00+01:00"
}
