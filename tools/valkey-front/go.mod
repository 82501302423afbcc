module zerotrust/tools/valkey-front

go 1.26
