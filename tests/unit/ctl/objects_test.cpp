// Manifests, what was applied last, archives, ports, selectors.
#include <gtest/gtest.h>

#include "api/base/json.h"
#include "ctl/commands/auth_reconcile.h"
#include "ctl/commands/debug_pods.h"
#include "ctl/commands/port_specs.h"
#include "ctl/commands/proxy_rules.h"
#include "ctl/commands/rollout_status.h"
#include "ctl/commands/three_way.h"
#include "ctl/commands/wait_condition.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/manifests.h"
#include "ctl/objects/pods.h"
#include "ctl/objects/tar.h"

namespace moth::ctl {
namespace {

TEST(Manifests, ListsAreTakenApartAndFaultsDoNotHideTheRest) {
  Manifests manifests;
  read_manifest_text(
      "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
      "- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n---\nkind: NoVersion\n---\n"
      "a: 1\na: 2\n---\n---\n",
      "f.yaml", manifests);
  EXPECT_EQ(manifests.objects.size(), 2u);
  ASSERT_EQ(manifests.failures.size(), 2u);
  EXPECT_NE(manifests.failures[0].error.message.find("Object 'apiVersion' is missing"),
            std::string::npos);
  EXPECT_NE(manifests.failures[1].error.message.find("already set in map"), std::string::npos);
}

TEST(LastApplied, IsTheObjectWithoutItself) {
  Json object{{"kind", "ConfigMap"}, {"metadata", {{"name", "a"}}}};
  Json once = with_last_applied(object);
  Json twice = with_last_applied(once);
  EXPECT_EQ(once, twice);
  EXPECT_EQ(once["metadata"]["annotations"][std::string(kLastApplied)],
            "{\"kind\":\"ConfigMap\",\"metadata\":{\"annotations\":{},\"name\":\"a\"}}\n");
  EXPECT_TRUE(live_annotation(once));
  EXPECT_EQ(last_applied(once)["kind"], "ConfigMap");
}

TEST(ThreeWay, RemovesWhatWasAppliedAndKeepsWhatOthersAdded) {
  client::ApiResource deployments;
  deployments.group = "apps";
  deployments.version = "v1";
  deployments.kind = "Deployment";
  auto object = [](Json spec) {
    return Json{{"apiVersion", "apps/v1"},
                {"kind", "Deployment"},
                {"metadata", {{"name", "web"}}},
                {"spec", std::move(spec)}};
  };
  Json before = with_last_applied(object({{"replicas", 1}, {"paused", true}}));
  Json live = before;
  live["spec"]["minReadySeconds"] = 5;  // somebody else's
  Json modified = with_last_applied(object({{"replicas", 2}}));
  schema::PatchSchemas schemas;
  auto patch = apply_patch(schemas, deployments, modified, live, true);
  ASSERT_TRUE(patch);
  EXPECT_EQ(patch->type, client::PatchType::kStrategic);
  EXPECT_EQ(patch->body["spec"], (Json{{"replicas", 2}, {"paused", nullptr}}));
  // The same again is nothing.
  Json settled = modified;
  settled["spec"]["minReadySeconds"] = 5;
  patch = apply_patch(schemas, deployments, modified, settled, true);
  ASSERT_TRUE(patch);
  EXPECT_TRUE(patch->body.empty()) << patch->body;
  // A type without a schema gets a merge patch.
  deployments.group = "example.com";
  EXPECT_EQ(apply_patch(schemas, deployments, modified, live, true)->type,
            client::PatchType::kMerge);
}

struct Unpacked {
  std::vector<TarEntry> entries;
  std::string content;
};

Unpacked unpack(const std::string& archive, std::size_t piece) {
  Unpacked out;
  TarReader reader(
      [&](const TarEntry& entry) -> Outcome<> {
        out.entries.push_back(entry);
        return {};
      },
      [&](std::string_view bytes) -> Outcome<> {
        out.content += bytes;
        return {};
      });
  for (std::size_t at = 0; at < archive.size(); at += piece)
    EXPECT_TRUE(reader.add(std::string_view(archive).substr(at, piece)));
  EXPECT_TRUE(reader.complete());
  return out;
}

TEST(Tar, WhatIsPackedIsUnpackedWhateverThePieces) {
  TarEntry file;
  file.name = "dir/" + std::string(150, 'n') + "/file";
  file.size = 700;
  file.mode = 0640;
  file.modified = 1700000000;
  TarEntry folder;
  folder.name = "dir";
  folder.type = TarEntry::Type::kFolder;
  folder.mode = 0755;
  TarEntry link;
  link.name = "dir/link";
  link.type = TarEntry::Type::kLink;
  link.target = "../" + std::string(120, 't');
  std::string content(700, 'c');
  std::string archive = tar_header(folder) + tar_header(file) + content + tar_padding(700) +
                        tar_header(link) + tar_end();
  EXPECT_EQ(archive.size() % 512, 0u);
  for (std::size_t piece : {1u, 7u, 512u, 100000u}) {
    Unpacked out = unpack(archive, piece);
    ASSERT_EQ(out.entries.size(), 3u);
    EXPECT_EQ(out.entries[0].name, "dir/");
    EXPECT_EQ(out.entries[0].type, TarEntry::Type::kFolder);
    EXPECT_EQ(out.entries[1].name, file.name);
    EXPECT_EQ(out.entries[1].mode, 0640u);
    EXPECT_EQ(out.entries[1].modified, 1700000000);
    EXPECT_EQ(out.entries[2].target, link.target);
    EXPECT_EQ(out.content, content);
  }
}

TEST(Tar, WhatIsNoArchiveIsRefused) {
  TarReader reader([](const TarEntry&) -> Outcome<> { return {}; },
                   [](std::string_view) -> Outcome<> { return {}; });
  EXPECT_FALSE(reader.add(std::string(512, 'x')));
}

Json web_pod() {
  return {{"kind", "Pod"},
          {"metadata", {{"name", "web-0"}}},
          {"spec",
           {{"containers",
             {{{"name", "web"}, {"ports", {{{"name", "http"}, {"containerPort", 8080}}}}}}}}}};
}

TEST(Ports, OfPods) {
  auto ports =
      parse_ports({"8000:80", "90", ":70", "0:60", "http", "5:http"}, web_pod(), web_pod());
  ASSERT_TRUE(ports);
  std::vector<std::pair<int, int>> found;
  for (const ForwardedPort& port : *ports) found.emplace_back(port.local, port.remote);
  EXPECT_EQ(found, (std::vector<std::pair<int, int>>{
                       {8000, 80}, {90, 90}, {0, 70}, {0, 60}, {8080, 8080}, {5, 8080}}));
  for (const char* bad : {"", "a:b:c", "x", "80:", "70000"})
    EXPECT_FALSE(parse_ports({bad}, web_pod(), web_pod())) << bad;
}

TEST(Ports, OfServicesLeadToThePodsOwn) {
  Json service{{"kind", "Service"},
               {"metadata", {{"name", "web"}}},
               {"spec",
                {{"ports",
                  {{{"name", "main"}, {"port", 80}, {"targetPort", "http"}},
                   {{"name", "raw"}, {"port", 81}, {"targetPort", 9090}},
                   {{"name", "dns"}, {"port", 53}, {"protocol", "UDP"}, {"targetPort", 53}}}}}}};
  auto ports = parse_ports({"80", "7:raw", ":main"}, service, web_pod());
  ASSERT_TRUE(ports);
  EXPECT_EQ((*ports)[0].local, 80);
  EXPECT_EQ((*ports)[0].remote, 8080);
  EXPECT_EQ((*ports)[1].remote, 9090);
  EXPECT_EQ((*ports)[2].remote, 8080);
  EXPECT_EQ(parse_ports({"53"}, service, web_pod()).error().error.message,
            "UDP protocol is not supported for 53");
  EXPECT_EQ(parse_ports({"99"}, service, web_pod()).error().error.message,
            "Service web does not have a service port 99");
}

TEST(Proxy, PathsMethodsAndHosts) {
  auto rules = ProxyRules::make("^.*", "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
                                "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$", "^DELETE$");
  ASSERT_TRUE(rules);
  EXPECT_TRUE(rules->allowed("GET", "/api/v1/pods", "localhost:8001"));
  EXPECT_TRUE(rules->allowed("GET", "/api", "[::1]:8001"));
  EXPECT_FALSE(rules->allowed("GET", "/api/v1/namespaces/x/pods/y/exec", "localhost"));
  EXPECT_FALSE(rules->allowed("DELETE", "/api/v1/pods", "localhost"));
  EXPECT_FALSE(rules->allowed("GET", "/api/v1/pods", "evil.example"));
  EXPECT_FALSE(ProxyRules::make("(", "", "", ""));
}

TEST(Wait, Conditions) {
  Json deployment{{"metadata", {{"generation", 2}}},
                  {"status",
                   {{"observedGeneration", 1},
                    {"phase", "Running"},
                    {"conditions", {{{"type", "Available"}, {"status", "True"}}}}}}};
  auto met = [&](const char* text) {
    auto condition = parse_wait_condition(text);
    EXPECT_TRUE(condition) << text;
    auto result = wait_condition_met(*condition, &deployment);
    return result && *result;
  };
  EXPECT_FALSE(met("condition=Available")) << "of an older generation";
  deployment["status"]["observedGeneration"] = 2;
  EXPECT_TRUE(met("condition=available"));
  EXPECT_FALSE(met("condition=Available=False"));
  EXPECT_TRUE(met("jsonpath={.status.phase}=Running"));
  EXPECT_TRUE(met("jsonpath='{.status.phase}'"));
  EXPECT_FALSE(met("jsonpath={.status.nope}"));
  EXPECT_FALSE(met("delete"));
  EXPECT_TRUE(met("create"));
  EXPECT_FALSE(parse_wait_condition("nonsense"));
}

TEST(Reconcile, RulesGrowAndShrinkOnlyWhenAsked) {
  auto rule = [](const char* verb) {
    return Json{{"apiGroups", {""}}, {"resources", {"pods"}}, {"verbs", {verb}}};
  };
  Json present = Json::array({rule("get"), rule("list")});
  Json wanted = Json::array({rule("get"), rule("watch")});
  EXPECT_EQ(reconciled_rules(present, wanted, false),
            Json::array({rule("get"), rule("list"), rule("watch")}));
  EXPECT_EQ(reconciled_rules(present, wanted, true), wanted);
  Json all = Json::array({Json{{"apiGroups", {"*"}}, {"resources", {"*"}}, {"verbs", {"*"}}}});
  EXPECT_EQ(reconciled_rules(all, wanted, false), all);
  EXPECT_EQ(reconciled_subjects(Json{"a", "b"}, Json{"b", "c"}, false), (Json{"a", "b", "c"}));
  EXPECT_EQ(reconciled_subjects(Json{"a", "b"}, Json{"b", "c"}, true), (Json{"b", "c"}));
}

TEST(Debug, CopiesChangeOneContainerAndLoseProbes) {
  Json pod = web_pod();
  pod["metadata"]["labels"] = {{"app", "web"}};
  pod["spec"]["nodeName"] = "box";
  pod["spec"]["containers"][0]["livenessProbe"] = {{"exec", Json::object()}};
  DebugWish wish;
  wish.words = {"sh"};
  CopyWish copy;
  copy.name = "web-debug";
  copy.container = "web";
  auto made = debug_copy(pod, wish, copy);
  ASSERT_TRUE(made);
  EXPECT_FALSE((*made)["metadata"].contains("labels"));
  EXPECT_FALSE((*made)["spec"].contains("nodeName"));
  EXPECT_EQ((*made)["spec"]["shareProcessNamespace"], true);
  EXPECT_EQ((*made)["spec"]["containers"][0]["command"], Json{"sh"});
  EXPECT_FALSE((*made)["spec"]["containers"][0].contains("livenessProbe"));
  copy.container = "nope";
  EXPECT_FALSE(debug_copy(pod, wish, copy));
  wish.profile = "general";
  wish.image = "busybox";
  Json extra = ephemeral_container(wish, "debugger");
  EXPECT_EQ(extra["securityContext"]["capabilities"]["add"], Json{"SYS_PTRACE"});
  Json node = node_pod(wish, "box", "node-debugger");
  EXPECT_EQ(node["spec"]["hostPID"], true);
  EXPECT_EQ(node["spec"]["volumes"][0]["hostPath"]["path"], "/");
  EXPECT_FALSE(check_profile("nope"));
}

TEST(PodSelector, OfWhateverHasPods) {
  Json service{{"kind", "Service"}, {"spec", {{"selector", {{"app", "web"}, {"tier", "x"}}}}}};
  EXPECT_EQ(*pod_selector(service), "app=web,tier=x");
  Json deployment{{"kind", "Deployment"},
                  {"spec", {{"selector", {{"matchLabels", {{"app", "web"}}}}}}}};
  EXPECT_EQ(*pod_selector(deployment), "app=web");
  EXPECT_FALSE(pod_selector(Json{{"kind", "ConfigMap"}}));
}

}  // namespace
}  // namespace moth::ctl
