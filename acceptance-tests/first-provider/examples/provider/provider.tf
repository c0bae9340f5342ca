provider "first" {}
