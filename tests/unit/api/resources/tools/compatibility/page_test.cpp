// docs/compatibility.md is what the registry and its notes say.
#include "api/resources/tools/compatibility/page.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(std::string(MOTH_SOURCE_DIR) + "/" + path);
  EXPECT_TRUE(file) << "cannot read " << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(CompatibilityPage, IsUpToDate) {
  auto registry = make_registry();
  ASSERT_TRUE(registry);
  auto page = compatibility_page(**registry, read_file("api/resources/compatibility.tsv"));
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_TRUE(*page == read_file("docs/compatibility.md"))
      << "docs/compatibility.md is out of date. In the repository's folder:\n"
         "  ninja -C build/dev moth_compatibility\n"
         "  build/dev/bin/moth_compatibility > docs/compatibility.md";
}

class SmallRegistry : public ::testing::Test {
 protected:
  SmallRegistry() {
    EXPECT_TRUE(registry_.add(row_of("a.io", "v1", "things", "thing", "Thing", "")));
    EXPECT_TRUE(registry_.seal());
  }
  std::string message(std::string_view notes) {
    auto page = compatibility_page(registry_, notes);
    return page ? "" : page.error().message;
  }
  Registry registry_;
};

TEST_F(SmallRegistry, EveryRowNeedsANote) {
  EXPECT_EQ(message("kind\tthings.a.io/v1\tyes\t\n"), "");
  EXPECT_EQ(message("# nothing\n"),
            "api/resources/compatibility.tsv has no line for things.a.io/v1: say whether moth acts "
            "on it");
  EXPECT_EQ(message("kind\tthings.a.io/v1\tyes\t\nkind\tothers.a.io/v1\tno\n"),
            "compatibility.tsv: there is no row for others.a.io/v1");
  EXPECT_EQ(message("kind\tthings.a.io/v1\tyes\t\nkind\tthings.a.io/v1\tno\n"),
            "compatibility.tsv: things.a.io/v1 is there twice");
}

TEST_F(SmallRegistry, NotesAreChecked) {
  EXPECT_EQ(message("kind\tthings.a.io/v1\tmaybe\n"),
            "compatibility.tsv:1: the state is yes, partly or no");
  EXPECT_EQ(message("\nkind\tthings.a.io/v1\tpartly\n"),
            "compatibility.tsv:2: say what is missing");
  EXPECT_EQ(message("sort\tthings.a.io/v1\tyes\n"),
            "compatibility.tsv:1: a line begins with kind or feature");
  EXPECT_EQ(message("kind things\n"), "compatibility.tsv:1: a line has three or four cells");
}

TEST_F(SmallRegistry, LinesShowWhatIsServed) {
  auto page = compatibility_page(registry_,
                                 "kind\tthings.a.io/v1\tpartly\thalf of it\n"
                                 "feature\tflying\tno\n");
  ASSERT_TRUE(page);
  EXPECT_NE(page->find("### a.io/v1\n"), std::string::npos);
  EXPECT_NE(page->find("| Thing | things | all |  | partly | half of it |\n"), std::string::npos);
  EXPECT_NE(page->find("| flying | no |  |\n"), std::string::npos);
}

}  // namespace
}  // namespace moth::resources
