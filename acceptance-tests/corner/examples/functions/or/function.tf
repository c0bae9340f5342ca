output "value" {
  value = provider::corner::or(null, "other") # other
}
