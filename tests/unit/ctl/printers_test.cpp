#include <gtest/gtest.h>

#include "api/base/json.h"
#include "ctl/printers/columns.h"
#include "ctl/printers/go_template.h"
#include "ctl/printers/kyaml.h"
#include "ctl/printers/output_format.h"
#include "ctl/printers/sorting.h"
#include "ctl/printers/table.h"

namespace moth::ctl {
namespace {

Json pod(const std::string& name, std::int64_t restarts = 0) {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", {{"name", name}, {"labels", {{"app", "web"}}}}},
          {"status", {{"restarts", restarts}, {"phase", "Running"}}}};
}

Json pod_list() {
  return {{"apiVersion", "v1"}, {"kind", "List"}, {"items", {pod("b", 2), pod("a", 10)}}};
}

std::string printed(const std::string& form, const Json& object) {
  auto format = parse_output_format(form);
  EXPECT_TRUE(format) << (format ? "" : format.error().message);
  if (!format) return "";
  auto text = render(*format, object);
  return text ? *text : "error: " + text.error().message;
}

TEST(Columns, WidthsAreThoseOfRunsOfLines) {
  EXPECT_EQ(align_columns("a\tb\tc\nlonger\tx\ty\n", {0, 2}), "a       b  c\nlonger  x  y\n");
  // A line without cells ends a column.
  EXPECT_EQ(align_columns("aaaa\t1\nplain\nb\t2\n", {0, 1}), "aaaa 1\nplain\nb 2\n");
  EXPECT_EQ(display_width("äöü"), 3u);
}

TEST(OutputFormat, NamesAndPaths) {
  EXPECT_EQ(printed("name", pod("a")), "pod/a\n");
  EXPECT_EQ(printed("name", pod_list()), "pod/b\npod/a\n");
  EXPECT_EQ(printed("jsonpath={.metadata.name}", pod("a")), "a");
  EXPECT_EQ(printed("jsonpath={range .items[*]}{.metadata.name}={.status.restarts}{\"\\n\"}{end}",
                    pod_list()),
            "b=2\na=10\n");
  EXPECT_EQ(printed("jsonpath-as-json={.items[*].metadata.name}", pod_list()),
            "[\n    \"b\",\n    \"a\"\n]\n");
  EXPECT_EQ(printed("jsonpath={.items[?(@.status.restarts>5)].metadata.name}", pod_list()), "a");
}

TEST(OutputFormat, CustomColumns) {
  EXPECT_EQ(
      printed("custom-columns=NAME:.metadata.name,APP:.metadata.labels.app,NO:.nope", pod_list()),
      "NAME   APP   NO\nb      web   <none>\na      web   <none>\n");
  EXPECT_FALSE(parse_output_format("custom-columns=NAME"));
}

TEST(OutputFormat, RefusalsNameWhatIsThere) {
  auto bad = parse_output_format("nope");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("allowed formats are: custom-columns"), std::string::npos);
  EXPECT_EQ(parse_output_format("jsonpath").error().message,
            "template format specified but no template given");
  EXPECT_EQ(parse_output_format("", "{{.kind}}")->kind, OutputKind::kGoTemplate);
}

TEST(OutputFormat, JsonIsIndentedAndEscapedAsGoDoes) {
  EXPECT_EQ(pretty_json(Json{{"a", "<&>"}}), "{\n    \"a\": \"\\u003c\\u0026\\u003e\"\n}\n");
  EXPECT_EQ(compact_json(Json{{"b", 1}, {"a", "x"}}), "{\"a\":\"x\",\"b\":1}");
}

TEST(Table, HeadersLabelsAndWatches) {
  Json table{{"kind", "Table"},
             {"columnDefinitions",
              {{{"name", "Name"}, {"format", "name"}, {"priority", 0}},
               {{"name", "Status"}, {"priority", 0}},
               {{"name", "Node"}, {"priority", 1}}}},
             {"rows", {{{"cells", {"web", "Running", "box"}}, {"object", pod("web")}}}}};
  EXPECT_EQ(TablePrinter({}).print(table), "NAME   STATUS\nweb    Running\n");
  TableOptions options;
  options.wide = true;
  options.show_labels = true;
  options.label_columns = {"app"};
  options.name_prefix = "pod";
  EXPECT_EQ(TablePrinter(options).print(table),
            "NAME      STATUS    NODE   APP   LABELS\npod/web   Running   box    web   app=web\n");
  TableOptions watching;
  watching.event_column = true;
  TablePrinter printer(watching);
  EXPECT_EQ(printer.print(table, "ADDED"), "EVENT   NAME   STATUS\nADDED   web    Running\n");
  EXPECT_EQ(printer.print(table, "DELETED"), "DELETED   web    Running\n");
}

TEST(Sorting, NumbersAmountsAndNaturalOrder) {
  auto names = [](const Json& items) {
    std::string text;
    for (const Json& item : items) text += item["metadata"]["name"].get<std::string>() + " ";
    return text;
  };
  Json items{pod("pod-10", 3), pod("pod-2", 20), pod("pod-1", 1)};
  ASSERT_TRUE(sort_items(items, ".metadata.name"));
  EXPECT_EQ(names(items), "pod-1 pod-2 pod-10 ");
  ASSERT_TRUE(sort_items(items, "{.status.restarts}"));
  EXPECT_EQ(names(items), "pod-1 pod-10 pod-2 ");
  Json amounts = Json::array();
  for (const char* text : {"1Gi", "500Mi", "2"}) {
    Json item = pod(text);
    item["spec"]["size"] = text;
    amounts.push_back(item);
  }
  ASSERT_TRUE(sort_items(amounts, ".spec.size"));
  EXPECT_EQ(names(amounts), "2 500Mi 1Gi ");
  EXPECT_FALSE(sort_items(items, "{.a"));
  // Rows of a table are sorted by their objects.
  Json rows{{{"cells", {"b"}}, {"object", pod("b")}}, {{"cells", {"a"}}, {"object", pod("a")}}};
  ASSERT_TRUE(sort_items(rows, ".metadata.name"));
  EXPECT_EQ(rows[0]["cells"][0], "a");
}

struct TemplateCase {
  const char* text;
  const char* expected;
};

class Templates : public ::testing::TestWithParam<TemplateCase> {};

TEST_P(Templates, Render) {
  Json data{{"kind", "Pod"},
            {"count", 3},
            {"big", 2000000},
            {"ready", true},
            {"list", {"x", "y"}},
            {"secret", "aGk="},
            {"labels", {{"a", "1"}, {"b", "2"}}},
            {"none", nullptr}};
  auto parsed = GoTemplate::parse(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error().message;
  auto text = parsed->render(data, true);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, GetParam().expected);
}

// What kubectl 1.35 prints for them.
INSTANTIATE_TEST_SUITE_P(
    Go, Templates,
    ::testing::Values(
        TemplateCase{"{{.kind}} {{.big}} {{.nope}} {{.labels}} {{.list}}",
                     "Pod 2000000 <no value> map[a:1 b:2] [x y]"},
        TemplateCase{"{{range .list}}{{.}},{{end}}", "x,y,"},
        TemplateCase{"{{range $k, $v := .labels}}{{$k}}={{$v}};{{else}}no{{end}}", "a=1;b=2;"},
        TemplateCase{"{{range .nope}}x{{else}}no{{end}}", "no"},
        TemplateCase{"{{range $i, $e := .list}}{{$i}}{{$e}}{{break}}{{end}}", "0x"},
        TemplateCase{"{{if and .ready (not .nope)}}y{{else}}n{{end}}", "y"},
        TemplateCase{"{{if .nope}}a{{else if .none}}b{{else if .ready}}c{{else}}d{{end}}", "c"},
        TemplateCase{"{{with .labels}}{{.a}}{{end}}{{with .nope}}x{{else}}{{.kind}}{{end}}",
                     "1Pod"},
        TemplateCase{"{{index .labels \"b\"}} {{index .list 1}} {{len .list}} {{len \"abc\"}}",
                     "2 y 2 3"},
        TemplateCase{"{{.kind | printf \"%-6s|%5.1f|%03d\" | len}}", "32"},
        TemplateCase{"{{printf \"%d %v %s %q %05d\" .count .count .kind .kind 42}}",
                     "3 3 Pod \"Pod\" 00042"},
        TemplateCase{"{{printf \"%5.2f|%x|%t|%c|%T|%-4s|\" 3.14159 255 true 65 .count \"ab\"}}",
                     " 3.14|ff|true|A|int64|ab  |"},
        TemplateCase{"{{eq .kind \"Pod\"}} {{eq .count 3}} {{ne .kind \"x\"}} {{lt 2 .count}} "
                     "{{ge .count 4}} {{eq .kind \"a\" \"Pod\"}}",
                     "true true true true false true"},
        TemplateCase{"{{.secret | base64decode}} {{exists . \"labels\" \"a\"}} {{exists . \"x\"}}",
                     "hi true false"},
        TemplateCase{"a {{- \" b \" -}} c{{/* gone */}} {{$x := 5}}{{$x}}{{$x = 6}}{{$x}}",
                     "a b c 56"},
        TemplateCase{"{{define \"T\"}}[{{.}}]{{end}}{{template \"T\" .kind}}", "[Pod]"},
        TemplateCase{"{{print 1 2 \"a\" \"b\" 3}} {{println \"x\" 1}}", "1 2ab3 x 1\n"},
        TemplateCase{
            "{{html \"<a>\"}} {{urlquery \"a b\"}} {{slice \"abcdef\" 1 3}} {{or \"\" \"d\"}}",
            "&lt;a&gt; a+b bc d"},
        TemplateCase{"{{\"quo\\\"te\"}} {{`raw\\n`}} {{'a'}} {{1.5}} {{true}}",
                     "quo\"te raw\\n 97 1.5 true"}));

TEST(GoTemplate, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(GoTemplate::parse("{{foo .x}}").error().message,
            "template: output:1: function \"foo\" not defined");
  EXPECT_EQ(GoTemplate::parse("a\n{{.a").error().message, "template: output:2: unclosed action");
  EXPECT_FALSE(GoTemplate::parse("{{if .x}}a"));
  EXPECT_FALSE(GoTemplate::parse("{{end}}"));
  EXPECT_FALSE(GoTemplate::parse("{{(.a}}"));
  auto strict = GoTemplate::parse("{{.nope}}");
  EXPECT_FALSE(strict->render(Json::object(), false));
  auto inside_text = GoTemplate::parse("{{.kind.x}}");
  EXPECT_FALSE(inside_text->render(Json{{"kind", "Pod"}}, true));
}

TEST(Kyaml, QuotesBracesAndFoldedLines) {
  Json value{{"kind", "ConfigMap"},
             {"data", {{"true", "t"}, {"lines", "ab\n  cd\n"}, {"n", 3}}},
             {"list", {"a", "b"}},
             {"objects", {{{"x", 1}}, Json::object()}},
             {"empty", Json::array()}};
  EXPECT_EQ(to_kyaml(value), R"(---
{
  data: {
    lines: "\
       ab\n\
      \  cd\n\
      ",
    "n": 3,
    "true": "t",
  },
  empty: [],
  kind: "ConfigMap",
  list: [
    "a",
    "b",
  ],
  objects: [{
    x: 1,
  }, {}],
}
)");
}

}  // namespace
}  // namespace moth::ctl
