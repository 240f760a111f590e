#include "api/cel/cel.h"

#include <gtest/gtest.h>

#include "api/base/json.h"

namespace moth::cel {
namespace {

// The variable of most rules here.
const Json& self_json() {
  static const Json kSelf = Json::parse(R"({
    "replicas": 3, "minReplicas": 1, "ratio": 2, "name": "web-1", "on": true,
    "when": "2024-02-29T12:30:45.5Z", "wait": "1h30m", "my-field": "dash", "namespace": "ns",
    "list": [1, 2, 3], "names": ["b", "a"], "labels": {"app": "x", "a.b/c": "y"},
    "items": [{"key": "a", "value": 1}, {"key": "b"}], "any": {"x": {"y": 7}}, "empty": null
  })");
  return kSelf;
}

TypePtr self_type() {
  TypePtr text = simple(Kind::kString), number = simple(Kind::kInt);
  return object_of("object",
                   {{"replicas", number},
                    {"minReplicas", number},
                    {"ratio", simple(Kind::kDouble)},
                    {"name", text},
                    {"on", simple(Kind::kBool)},
                    {"missing", text},
                    {"when", simple(Kind::kTimestamp)},
                    {"wait", simple(Kind::kDuration)},
                    {"my-field", text},
                    {"namespace", text},
                    {"list", list_of(number)},
                    {"names", list_of(text)},
                    {"labels", map_of(text, text)},
                    {"items", list_of(object_of("item", {{"key", text}, {"value", number}}))},
                    {"any", dyn()},
                    {"empty", dyn()}});
}

Result<Value> evaluate(const std::string& expression, Budget& budget) {
  Environment environment;
  environment.variables = {{"self", self_type()}, {"unbound", dyn()}};
  MOTH_ASSIGN(Program program, Program::compile(expression, environment, dyn()));
  return program.evaluate({{"self", Value::of(self_json(), self_type())}}, budget);
}

std::string answer(const std::string& expression) {
  Budget budget;
  auto value = evaluate(expression, budget);
  if (!value) return "error: " + value.error().message;
  if (const bool* truth = value->as<bool>()) return *truth ? "true" : "false";
  if (const auto* number = value->as<std::int64_t>()) return std::to_string(*number);
  if (const auto* number = value->as<std::uint64_t>()) return std::to_string(*number) + "u";
  if (const auto* number = value->as<double>()) return std::to_string(*number);
  if (value->string()) return "'" + *value->string() + "'";
  return value->type_name();
}

struct Case {
  const char* expression;
  const char* answer;
};

class CelTable : public testing::TestWithParam<Case> {};

TEST_P(CelTable, Answers) {
  EXPECT_EQ(answer(GetParam().expression), GetParam().answer) << GetParam().expression;
}

INSTANTIATE_TEST_SUITE_P(
    Language, CelTable,
    testing::Values(Case{"1 + 2 * 3", "7"}, Case{"(1 + 2) * 3", "9"}, Case{"7 / 2", "3"},
                    Case{"-7 / 2", "-3"}, Case{"-7 % 3", "-1"}, Case{"10u - 3u", "7u"},
                    Case{"1.5 * 2.0", "3.000000"}, Case{"0x1F", "31"}, Case{"- 3 + 5", "2"},
                    Case{"!true || true", "true"}, Case{"-9223372036854775808 < 0", "true"},
                    Case{"1 / 0", "error: division by zero"},
                    Case{"1 % 0", "error: modulus by zero"},
                    Case{"9223372036854775807 + 1", "error: integer overflow"},
                    Case{"-(-9223372036854775807 - 1)", "error: integer overflow"},
                    Case{"1u - 2u", "error: unsigned integer overflow"},
                    Case{"'a' + \"b\"", "'ab'"}, Case{"r'\\n'", "'\\n'"},
                    Case{"'\\u00e9\\x41\\n' == 'éA\\n'", "true"}, Case{"'''a'b'''", "'a'b'"},
                    Case{"b'abc' == bytes('abc')", "true"}, Case{"1 == 1 && 2 < 3.5", "true"},
                    Case{"1 < 2u", "true"}, Case{"'a' < 'b'", "true"}, Case{"true ? 1 : 2", "1"},
                    Case{"false ? 1 : true ? 2 : 3", "2"}, Case{"1 in [1, 2]", "true"},
                    Case{"'k' in {'k': 1}", "true"}, Case{"[1, 2] + [3] == [1,2,3]", "true"},
                    Case{"{'a': 1}['a']", "1"}, Case{"{'a': 1}.a", "1"}, Case{"[1, 2][1]", "2"},
                    Case{"[1][5]", "error: index out of bounds: 5"},
                    Case{"{'a': 1}['b']", "error: no such key: b"},
                    Case{"{'a': 1, 'a': 2}", "error: Failed with repeated key: a"},
                    Case{"type(1) == int && type('') == string", "true"},
                    Case{"type(timestamp('2024-01-01T00:00:00Z')) == google.protobuf.Timestamp",
                         "true"},
                    Case{"dyn(1) == dyn('a')", "false"}, Case{"dyn(1) == dyn(1.0)", "true"},
                    Case{"null == null", "true"}, Case{"// all of it\n1", "1"}));

// A decisive side wins over an error, on whichever side it is.
INSTANTIATE_TEST_SUITE_P(
    Logic, CelTable,
    testing::Values(Case{"true || 1/0 > 1", "true"}, Case{"1/0 > 1 || true", "true"},
                    Case{"false && 1/0 > 1", "false"}, Case{"1/0 > 1 && false", "false"},
                    Case{"1/0 > 1 || false", "error: division by zero"},
                    Case{"[1, 0].exists(x, 1/x > 0)", "true"},
                    Case{"[0, 1].all(x, 1/x > 5)", "false"},
                    Case{"[0].all(x, 1/x > 5)", "error: division by zero"},
                    Case{"unbound.x > 1 || true", "true"},
                    Case{"unbound.x > 1", "error: no such attribute(s): unbound"}));

INSTANTIATE_TEST_SUITE_P(
    Self, CelTable,
    testing::Values(
        Case{"self.replicas >= self.minReplicas", "true"}, Case{"self.ratio == 2.0", "true"},
        Case{"has(self.missing)", "false"}, Case{"has(self.name)", "true"},
        Case{"self.missing == 'x'", "error: no such key: missing"},
        Case{"self.my__dash__field", "'dash'"}, Case{"self.__namespace__", "'ns'"},
        Case{"self.labels['a.b/c']", "'y'"}, Case{"has(self.labels.app)", "true"},
        Case{"self.labels.all(k, k.size() < 6)", "true"}, Case{"self.list.map(x, x * 2)[2]", "6"},
        Case{"self.list.filter(x, x > 1).size()", "2"},
        Case{"self.list.map(x, x > 1, x + 1) == [3, 4]", "true"},
        Case{"self.items.exists_one(i, i.key == 'a')", "true"},
        Case{"self.items.filter(i, has(i.value)).size()", "1"}, Case{"self.any.x.y + 1", "8"},
        Case{"self.empty == null", "true"},
        Case{"self.items.all(i, self.items.exists(j, i == j))", "true"},
        Case{"self.when.getFullYear()", "2024"}, Case{"self.when.getDayOfYear()", "59"},
        Case{"self.when.getMonth()", "1"}, Case{"self.when.getMilliseconds()", "500"},
        Case{"self.when.getHours('+02:00')", "14"}, Case{"self.when.getDayOfWeek()", "4"},
        Case{"self.when - duration('30s') < self.when", "true"},
        Case{"self.wait == duration('90m')", "true"}, Case{"self.wait.getMinutes()", "90"},
        Case{"string(self.wait)", "'5400s'"}, Case{"string(self.when)", "'2024-02-29T12:30:45.5Z'"},
        Case{"self.?missing.orValue('none')", "'none'"}, Case{"self.?name.hasValue()", "true"},
        Case{"self.labels[?'zz'].orValue('z')", "'z'"}, Case{"self.?any.x.y.orValue(0)", "7"},
        Case{"optional.of(1).optMap(x, x + 1).value()", "2"},
        Case{"optional.none().value()", "error: optional.none() dereference"},
        Case{"[?self.?missing, 'a'].size()", "1"}));

INSTANTIATE_TEST_SUITE_P(
    Functions, CelTable,
    testing::Values(
        Case{"'hello'.startsWith('he') && 'hello'.endsWith('lo') && 'hello'.contains('ell')",
             "true"},
        Case{"'hello'.matches('^h.*o$')", "true"}, Case{"'hello'.matches('l+')", "true"},
        Case{"'x'.matches('(')", "error: error parsing regexp: missing ): ("},
        Case{"'HeLLo'.lowerAscii() + 'x'.upperAscii()", "'helloX'"}, Case{"'  a '.trim()", "'a'"},
        Case{"'a,b,c'.split(',')[1]", "'b'"}, Case{"'a,b,c'.split(',', 2)[1]", "'b,c'"},
        Case{"'abc'.split('').size()", "3"}, Case{"['a', 'b'].join('-')", "'a-b'"},
        Case{"'aXbX'.replace('X', '')", "'ab'"}, Case{"'aXbX'.replace('X', 'y', 1)", "'aybX'"},
        Case{"'ab'.replace('', '_')", "'_a_b_'"}, Case{"'héllo'.substring(1, 3)", "'él'"},
        Case{"'abc'.substring(5)", "error: index out of range: 5"}, Case{"'héllo'.size()", "5"},
        Case{"'abcabc'.indexOf('c')", "2"}, Case{"'abcabc'.lastIndexOf('c')", "5"},
        Case{"'abc'.charAt(1)", "'b'"}, Case{"'a1b22'.findAll('[0-9]+').size()", "2"},
        Case{"'a1'.find('[0-9]')", "'1'"},
        Case{"'%d of %s: %.2f %x'.format([3, 'a', 1.5, 255])", "'3 of a: 1.50 ff'"},
        Case{"'%s'.format([[1, 'a', true]])", "'[1, a, true]'"}, Case{"'abc'.reverse()", "'cba'"},
        Case{"int('42') + int(2.9) + int(1u)", "45"}, Case{"uint('7')", "7u"},
        Case{"double('1.5')", "1.500000"}, Case{"string(1.0)", "'1'"},
        Case{"int('x')", "error: type conversion error from 'string' to 'int'"},
        Case{"bool('true')", "true"},
        Case{"[1, 2, 3].isSorted() && !self.names.isSorted()", "true"}, Case{"[1, 2].sum()", "3"},
        Case{"[3, 1].min()", "1"}, Case{"['a', 'c'].max()", "'c'"}, Case{"[1, 2].indexOf(2)", "1"},
        Case{"[1, 2, 2].lastIndexOf(2)", "2"},
        Case{"sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], "
             "[2])",
             "true"},
        Case{"quantity('1Gi').isGreaterThan(quantity('1G'))", "true"},
        Case{"quantity('1500m').add(quantity('500m')).asInteger()", "2"},
        Case{"quantity('1k') == quantity('1000')", "true"}, Case{"isQuantity('1x')", "false"},
        Case{"quantity('200M').compareTo(quantity('0.2G'))", "0"},
        Case{"url('https://a.b:80/x?q=1').getHost()", "'a.b:80'"},
        Case{"url('https://a.b:80/x?q=1').getQuery()['q'][0]", "'1'"},
        Case{"url('https://a.b:80/x').getPort()", "'80'"}, Case{"isURL('nope')", "false"},
        Case{"isURL('/rooted')", "true"}, Case{"ip('10.0.0.1').family()", "4"},
        Case{"isIP('300.1.1.1')", "false"}, Case{"ip('::1').isLoopback()", "true"},
        Case{"cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"},
        Case{"cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')", "true"},
        Case{"string(cidr('10.1.2.3/8').masked())", "'10.0.0.0/8'"},
        Case{"ip.isCanonical('2001:DB8::1')", "false"},
        Case{"format.dns1123Label().validate('Ab').hasValue()", "true"},
        Case{"!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()", "true"},
        Case{"[1, 2].map(ip, ip + 1)[0]", "2"}));

// What does not fit is refused before anything runs, in cel-go's words.
INSTANTIATE_TEST_SUITE_P(
    Refused, CelTable,
    testing::Values(
        Case{"self.nope",
             "error: ERROR: <input>:1:5: undefined field 'nope'\n | self.nope\n | ....^"},
        Case{"other",
             "error: ERROR: <input>:1:1: undeclared reference to 'other' (in container '')\n | "
             "other\n | ^"},
        Case{"self.replicas == 'x'",
             "error: ERROR: <input>:1:15: found no matching overload for '_==_' applied to '(int, "
             "string)'\n | self.replicas == 'x'\n | ..............^"},
        Case{"self.name.foo()",
             "error: ERROR: <input>:1:14: undeclared reference to 'foo' (in container '')\n | "
             "self.name.foo()\n | .............^"},
        Case{"self.replicas.startsWith('x')",
             "error: ERROR: <input>:1:25: found no matching overload for 'startsWith' applied to "
             "'int.(string)'\n | self.replicas.startsWith('x')\n | ........................^"},
        Case{"[1, 'a']",
             "error: ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | "
             "....^"},
        Case{"1 +",
             "error: ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting an "
             "expression\n | 1 +\n | ...^"},
        Case{"self.list.filter(i, x, true)",
             "error: ERROR: <input>:1:17: wrong number of arguments for macro 'filter'\n | "
             "self.list.filter(i, x, true)\n | ................^"},
        Case{"self.list.all(i, i, true)",
             "error: ERROR: <input>:1:18: duplicate variable name: i\n | "
             "self.list.all(i, i, true)\n | .................^"},
        Case{"cel.bind(1, 1, 1)",
             "error: ERROR: <input>:1:10: cel.bind() variable names must be simple identifiers\n | "
             "cel.bind(1, 1, 1)\n | .........^"},
        Case{"self.list.transformList(i, v, 1, v)",
             "error: ERROR: <input>:1:31: expected type 'bool' but found 'int'\n | "
             "self.list.transformList(i, v, 1, v)\n | ..............................^"},
        Case{"authorizer.group('')",
             "error: ERROR: <input>:1:17: undeclared reference to 'group' (in container '')\n | "
             "authorizer.group('')\n | ................^"},
        Case{"'abc",
             "error: ERROR: <input>:1:1: Syntax error: token recognition error at: ''abc'\n | "
             "'abc\n | ^"}));

INSTANTIATE_TEST_SUITE_P(
    TwoVariables, CelTable,
    ::testing::Values(
        Case{"self.list.all(i, v, v == i + 1)", "true"},
        Case{"self.list.exists(i, v, i == 2 && v == 3)", "true"},
        Case{"self.list.existsOne(i, v, v > 2)", "true"},
        Case{"self.list.exists_one(i, v, v > 1)", "false"},
        Case{"self.labels.all(k, v, size(k) >= size(v))", "true"},
        Case{"self.list.transformList(i, v, i * v) == [0, 2, 6]", "true"},
        Case{"self.list.transformList(i, v, i > 0, v) == [2, 3]", "true"},
        Case{"self.labels.transformMap(k, v, v + '!') == {'app': 'x!', 'a.b/c': 'y!'}", "true"},
        Case{"self.labels.transformMap(k, v, k == 'app', v) == {'app': 'x'}", "true"},
        Case{"self.names.transformMapEntry(i, v, {v: i}) == {'b': 0, 'a': 1}", "true"},
        Case{"self.names.transformMapEntry(i, v, {'k': i})",
             "error: insert failed: key k already exists"},
        Case{"cel.bind(n, size(self.list), n * n + n)", "12"},
        Case{"cel.bind(n, 1, cel.bind(m, n + 1, self.list.exists(n, n == m)))", "true"}));

INSTANTIATE_TEST_SUITE_P(
    Versions, CelTable,
    ::testing::Values(Case{"semver('1.2.3').isLessThan(semver('1.10.0'))", "true"},
                      Case{"semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))", "true"},
                      Case{"semver('1.0.0-rc.2').compareTo(semver('1.0.0-rc.10'))", "-1"},
                      Case{"semver('1.0.0-1').isLessThan(semver('1.0.0-a'))", "true"},
                      Case{"semver('1.2.3+a') == semver('1.2.3+b')", "true"},
                      Case{"semver('1.2.3').minor() + semver('1.2.3').patch()", "5"},
                      Case{"isSemver('1.2')", "false"}, Case{"isSemver('v1.2', true)", "true"},
                      Case{"isSemver('01.2.3')", "false"},
                      Case{"semver('v01.2', true) == semver('1.2.0')", "true"},
                      Case{"semver('x')", "error: invalid semantic version: x"}));

INSTANTIATE_TEST_SUITE_P(
    Zones, CelTable,
    ::testing::Values(Case{"timestamp('2024-07-01T12:00:00Z').getHours('Europe/Berlin')", "14"},
                      Case{"timestamp('2024-01-01T12:00:00Z').getHours('America/New_York')", "7"},
                      Case{"self.when.getHours('Mars/Base')",
                           "error: unknown time zone Mars/Base"}));

TEST(Cel, ResultTypeIsChecked) {
  Environment environment;
  auto program = Program::compile("1", environment, simple(Kind::kBool));
  ASSERT_FALSE(program);
  EXPECT_EQ(program.error().message, "cel expression must evaluate to a bool");
}

TEST(Cel, TellsWhichVariablesAreUsed) {
  Environment environment;
  environment.variables = {{"self", dyn()}, {"oldSelf", dyn()}};
  auto program = Program::compile("[1].all(oldSelf, self > oldSelf)", environment, dyn());
  ASSERT_TRUE(program);
  EXPECT_TRUE(program->uses("self"));
  EXPECT_FALSE(program->uses("oldSelf"));  // it is the macro's own
}

TEST(Cel, WorkIsBounded) {
  Budget budget;
  std::string range = "[1,2,3,4,5,6,7,8,9,10]";
  std::string deep = "true";
  for (int i = 0; i < 8; ++i) deep = range + ".all(x" + std::to_string(i) + ", " + deep + ")";
  auto value = evaluate(deep, budget);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().message, "operation cancelled: actual cost limit exceeded");
  EXPECT_TRUE(budget.exhausted);
  // Out of budget is not absorbed as other errors are.
  Budget other;
  EXPECT_FALSE(evaluate(deep + " || true", other));
}

TEST(Cel, DepthAndLengthAreBounded) {
  Budget budget;
  EXPECT_FALSE(evaluate(std::string(5000, '(') + "1" + std::string(5000, ')'), budget));
  std::string sum = "1", any = "false";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  EXPECT_FALSE(evaluate(sum, budget));
  for (int i = 0; i < 5000; ++i) any += "||false";
  EXPECT_TRUE(evaluate(any, budget));
  EXPECT_FALSE(evaluate(std::string(100000, ' ') + "1", budget));
  EXPECT_FALSE(evaluate(std::string(5000, '!') + "true", budget));
  EXPECT_FALSE(evaluate(std::string(5000, '['), budget));
}

TEST(Cel, EscapesPropertyNames) {
  EXPECT_EQ(escape_property("a-b.c/d"), "a__dash__b__dot__c__slash__d");
  EXPECT_EQ(escape_property("a__b"), "a__underscores__b");
  EXPECT_EQ(escape_property("in"), "__in__");
  EXPECT_EQ(escape_property("int"), "int");
  EXPECT_EQ(escape_property("1a"), "");
  EXPECT_EQ(escape_property("a b"), "");
}

}  // namespace
}  // namespace moth::cel
