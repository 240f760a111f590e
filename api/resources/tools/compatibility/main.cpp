// moth_compatibility [NOTES]: prints docs/compatibility.md. NOTES is compatibility.tsv, by default
// that of the folder in which the program runs.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "api/resources/tools/compatibility/page.h"

int main(int argc, char** argv) {
  std::string path = argc > 1 ? argv[1] : "api/resources/compatibility.tsv";
  std::ifstream file(path);
  if (!file) {
    std::cerr << "moth_compatibility: cannot read " << path
              << ": run it in the repository's folder, or name the file\n";
    return 1;
  }
  std::stringstream notes;
  notes << file.rdbuf();
  auto registry = moth::resources::make_registry();
  if (!registry) {
    std::cerr << "moth_compatibility: " << registry.error().message << "\n";
    return 1;
  }
  auto page = moth::resources::compatibility_page(**registry, notes.str());
  if (!page) {
    std::cerr << "moth_compatibility: " << page.error().message << "\n";
    return 1;
  }
  std::cout << *page;
  return 0;
}
