// schemac OUTPUT.cpp INPUT.schema...: compiles the schema files into one table of C++ constants.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>

#include "model.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: schemac OUTPUT.cpp INPUT.schema...\n");
    return 2;
  }
  try {
    std::vector<std::string> paths(argv + 2, argv + argc);
    std::sort(paths.begin(), paths.end());
    std::vector<schemac::SourceFile> files;
    for (const std::string& path : paths) files.push_back(schemac::parse_file(path));
    std::string text = schemac::emit(schemac::compile(files));
    std::ofstream out(argv[1], std::ios::trunc);
    out << text;
    if (!out.flush()) throw std::runtime_error(std::string(argv[1]) + ": cannot be written");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
