output "survived" {
  value = can(provider::corner::panics()) # false
}
