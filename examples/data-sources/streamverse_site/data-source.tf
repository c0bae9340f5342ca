data "streamverse_site" "here" {}

output "healthy" {
  value = data.streamverse_site.here.healthy
}
