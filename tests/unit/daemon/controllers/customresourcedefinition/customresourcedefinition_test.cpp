#include "daemon/controllers/customresourcedefinition/customresourcedefinition_controller.h"

#include <gtest/gtest.h>

#include "api/machinery/yaml.h"
#include "api/resources/conditions.h"
#include "daemon/controllers/customresourcedefinition/definition_plan.h"
#include "daemon/controllers/garbagecollector/garbagecollector_controller.h"
#include "daemon/controllers/namespace/namespace_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

const Gvr kDefinitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions"};
const Gvr kWidgets{"example.com", "v1", "widgets"};

Json names_only(const std::string& plural, const std::string& kind, const Json& accepted) {
  return {{"spec",
           {{"group", "example.com"},
            {"names",
             {{"plural", plural},
              {"singular", plural.substr(0, plural.size() - 1)},
              {"shortNames", {plural.substr(0, 1)}},
              {"kind", kind},
              {"listKind", kind + "List"}}}}},
          {"status", {{"acceptedNames", accepted}}}};
}

TEST(AcceptNames, FreeOnes) {
  Json definition = names_only("widgets", "Widget", Json::object());
  AcceptedNames names = accept_names(definition, {});
  EXPECT_TRUE(names.accepted());
  EXPECT_EQ(names.message, "no conflicts found");
  EXPECT_EQ(names.names, definition["spec"]["names"]);
}

TEST(AcceptNames, ThoseOfOthersAreNotAccepted) {
  Json other = names_only("wagons", "Wagon", Json::object());
  other["status"]["acceptedNames"] = other["spec"]["names"];
  Json definition = names_only("widgets", "Wagon", Json::object());
  AcceptedNames names = accept_names(definition, {std::make_shared<const Json>(other)});
  EXPECT_FALSE(names.accepted());
  EXPECT_EQ(names.reason, "ShortNamesConflict");
  EXPECT_EQ(names.message, "\"w\" is already in use");
  EXPECT_EQ(names.names["plural"], "widgets");
  EXPECT_FALSE(names.names.contains("kind"));
  EXPECT_FALSE(names.names.contains("shortNames"));
  // Another group is another world.
  other["spec"]["group"] = "elsewhere.com";
  EXPECT_TRUE(accept_names(definition, {std::make_shared<const Json>(other)}).accepted());
}

TEST(SetEstablished, IsForGood) {
  Json definition = names_only("widgets", "Widget", Json::object());
  AcceptedNames good = accept_names(definition, {});
  EXPECT_TRUE(set_established(definition, good, {}));
  EXPECT_FALSE(set_established(definition, good, {}));
  AcceptedNames bad = good;
  bad.reason = "KindConflict";
  EXPECT_TRUE(set_established(definition, bad, {}));
  EXPECT_TRUE(resources::condition_is_true(definition, "Established"));
  EXPECT_FALSE(resources::condition_is_true(definition, "NamesAccepted"));
}

class Definitions : public ::testing::Test {
 protected:
  Definitions() : cluster_({false, false}) {
    cluster_.add([this](ControllerContext context) {
      return make_customresourcedefinition_controller(context, cluster_.registry(),
                                                      [this] { return cluster_.revision(); });
    });
    cluster_.add([this](ControllerContext context) {
      return make_namespace_controller(context, cluster_.registry());
    });
    cluster_.add([this](ControllerContext context) {
      return make_garbagecollector_controller(context, cluster_.registry());
    });
    cluster_.start();
  }

  static Json definition(const std::string& plural = "widgets",
                         const std::string& kind = "Widget") {
    return *parse_yaml(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: )" + plural +
                       R"(.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: )" + plural +
                       R"(, kind: )" + kind + R"(, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, default: 1, maximum: 5}}}
          status: {type: object, properties: {ready: {type: boolean}}}
)");
  }

  void make_definition(Json made) {
    auto created = cluster_.create(kDefinitions, "", std::move(made));
    ASSERT_TRUE(created) << created.error().message;
    cluster_.settle();
  }

  Result<ObjectPtr> make_widget(const std::string& name, const std::string& ns = "default",
                                Json spec = Json::object(), Json finalizers = Json::array()) {
    return cluster_.create(kWidgets, ns,
                           {{"apiVersion", "example.com/v1"},
                            {"kind", "Widget"},
                            {"metadata", {{"name", name}, {"finalizers", finalizers}}},
                            {"spec", spec},
                            {"status", {{"ready", true}}}});
  }

  std::string condition(const std::string& name, const std::string& type) {
    ObjectPtr object = cluster_.get(kDefinitions, "", name);
    if (!object) return "gone";
    Json dom = object->parse();
    const Json* found = resources::find_condition(dom, type);
    return found ? string_or(*found, "status") + " " + string_or(*found, "reason") : "none";
  }

  test::TestCluster cluster_;
};

TEST_F(Definitions, AreServedWhenEstablished) {
  EXPECT_FALSE(make_widget("early"));
  make_definition(definition());
  EXPECT_EQ(condition("widgets.example.com", "NamesAccepted"), "True NoConflicts");
  EXPECT_EQ(condition("widgets.example.com", "Established"), "True InitialNamesAccepted");
  auto made = make_widget("one");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(cluster_.field(kWidgets, "default", "one", "/spec/size"), 1);
  // The status is written through its subresource alone.
  EXPECT_TRUE(cluster_.field(kWidgets, "default", "one", "/status").is_null());
  auto refused = make_widget("two", "default", {{"size", 6}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kInvalid);
  ASSERT_TRUE(
      cluster_.patch(kWidgets, "default", "one", {{"status", {{"ready", false}}}}, "status"));
  EXPECT_EQ(cluster_.field(kWidgets, "default", "one", "/status/ready"), false);
  EXPECT_EQ(cluster_.field(kWidgets, "default", "one", "/metadata/generation"), 1);
  ASSERT_TRUE(cluster_.patch(kWidgets, "default", "one", {{"spec", {{"size", 2}}}}));
  EXPECT_EQ(cluster_.field(kWidgets, "default", "one", "/metadata/generation"), 2);
}

TEST_F(Definitions, WaitForTheirNames) {
  make_definition(definition());
  make_definition(definition("gadgets", "Widget"));
  EXPECT_EQ(condition("gadgets.example.com", "NamesAccepted"), "False SingularConflict");
  EXPECT_EQ(condition("gadgets.example.com", "Established"), "False NotAccepted");
  EXPECT_EQ(cluster_.registry().find("example.com", "v1", "gadgets"), nullptr);
  ASSERT_TRUE(cluster_.remove(kDefinitions, "", "widgets.example.com"));
  cluster_.settle();
  EXPECT_EQ(condition("widgets.example.com", "Established"), "gone");
  EXPECT_EQ(condition("gadgets.example.com", "Established"), "True InitialNamesAccepted");
  EXPECT_NE(cluster_.registry().find("example.com", "v1", "gadgets"), nullptr);
}

TEST_F(Definitions, TakeTheirObjectsAlong) {
  make_definition(definition());
  ASSERT_TRUE(make_widget("one"));
  ASSERT_TRUE(make_widget("held", "default", Json::object(), {"example.com/hold"}));
  ASSERT_TRUE(cluster_.remove(kDefinitions, "", "widgets.example.com"));
  cluster_.settle();
  EXPECT_EQ(condition("widgets.example.com", "Terminating"), "True InstanceDeletionInProgress");
  EXPECT_EQ(cluster_.list(kWidgets).size(), 1u);
  ASSERT_TRUE(
      cluster_.patch(kWidgets, "default", "held", {{"metadata", {{"finalizers", nullptr}}}}));
  cluster_.settle();
  EXPECT_EQ(condition("widgets.example.com", "Terminating"), "gone");
  EXPECT_EQ(cluster_.registry().find("example.com", "v1", "widgets"), nullptr);
  // The same again, from nothing.
  make_definition(definition());
  EXPECT_EQ(cluster_.list(kWidgets).size(), 0u);
  EXPECT_TRUE(make_widget("one"));
}

TEST_F(Definitions, ObjectsGoWithTheirNamespaceAndTheirOwner) {
  make_definition(definition());
  ASSERT_TRUE(cluster_.create(
      client::gvr::kNamespaces, "",
      {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "other"}}}}));
  ASSERT_TRUE(make_widget("one", "other"));
  ASSERT_TRUE(make_widget("owner"));
  std::string uid = cluster_.get(kWidgets, "default", "owner")->uid();
  ASSERT_TRUE(cluster_.create({"", "v1", "configmaps"}, "default",
                              {{"apiVersion", "v1"},
                               {"kind", "ConfigMap"},
                               {"metadata",
                                {{"name", "owned"},
                                 {"ownerReferences", Json::array({{{"apiVersion", "example.com/v1"},
                                                                   {"kind", "Widget"},
                                                                   {"name", "owner"},
                                                                   {"uid", uid}}})}}}}));
  cluster_.settle();
  EXPECT_TRUE(cluster_.get({"", "v1", "configmaps"}, "default", "owned"));
  ASSERT_TRUE(cluster_.remove(client::gvr::kNamespaces, "", "other"));
  ASSERT_TRUE(cluster_.remove(kWidgets, "default", "owner"));
  cluster_.settle();
  EXPECT_FALSE(cluster_.get(kWidgets, "other", "one"));
  EXPECT_FALSE(cluster_.get(client::gvr::kNamespaces, "", "other"));
  EXPECT_FALSE(cluster_.get({"", "v1", "configmaps"}, "default", "owned"));
}

// Objects of before get the defaults of now, and lose what is no longer named, when they are read.
TEST_F(Definitions, NewSchemasReachOldObjects) {
  make_definition(definition());
  ASSERT_TRUE(make_widget("one", "default", {{"size", 3}}));
  Json properties = {{"colour", {{"type", "string"}, {"default", "red"}}}};
  Json versions = definition()["spec"]["versions"];
  versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = properties;
  ASSERT_TRUE(cluster_.patch(kDefinitions, "", "widgets.example.com",
                             {{"spec", {{"versions", versions}}}}));
  cluster_.settle();
  auto read = cluster_.run(cluster_.client().get(kWidgets, "default", "one", ""));
  ASSERT_TRUE(read);
  EXPECT_EQ((*read)->parse()["spec"], Json({{"colour", "red"}}));
}

}  // namespace
}  // namespace moth::controllers
