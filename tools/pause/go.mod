module zerotrust/tools/pause

go 1.26
