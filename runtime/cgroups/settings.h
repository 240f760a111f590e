#pragma once
// Limits as the files of a hierarchy want them. Pure. Internal to this folder.
#include <string>
#include <string_view>
#include <vector>

#include "runtime/cgroups/limits.h"

namespace moth::cgroups {

struct Setting {
  std::string controller;
  std::string file;
  std::string value;
  bool optional = false;  // a kernel without the file is no error (swap accounting, ...)
};

// In the order in which they have to be written.
std::vector<Setting> v1_settings(const Limits& limits);
std::vector<Setting> v2_settings(const Limits& limits);

}  // namespace moth::cgroups
