// What single kinds have of their own, through the whole server: subresources, bindings, component
// statuses, deletes that leave the dependents.
#include <gtest/gtest.h>

#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

class KindsTest : public ServerTest {
 protected:
  static constexpr const char* kJobs = "/apis/batch/v1/namespaces/default/jobs";

  static Json pod(const std::string& name) {
    return {{"metadata", {{"name", name}}},
            {"spec",
             {{"containers",
               {{{"name", "a"},
                 {"image", "nginx"},
                 {"resources", {{"requests", {{"cpu", "1"}, {"memory", "1Gi"}}}}}}}}}}};
  }
  static Json job(const std::string& name) {
    return {{"metadata", {{"name", name}}},
            {"spec",
             {{"template",
               {{"spec",
                 {{"restartPolicy", "Never"},
                  {"containers", {{{"name", "a"}, {"image", "nginx"}}}}}}}}}}};
  }

  ServerLab lab_;
};

TEST_F(KindsTest, EphemeralContainersAreAddedThroughTheirSubresource) {
  ASSERT_EQ(lab_.post(kPods, pod("p")).status, 201);
  std::string path = at(kPods, "p") + "/ephemeralcontainers";
  Json debugger = {{"name", "debugger"}, {"image", "busybox"}, {"targetContainerName", "a"}};
  Json patch = {{"spec", {{"ephemeralContainers", {debugger}}}}};
  Answer main = lab_.patch(at(kPods, "p"), "strategic-merge-patch+json", patch);
  EXPECT_EQ(main.status, 422) << main.text;
  Answer added = lab_.patch(path, "strategic-merge-patch+json", patch);
  ASSERT_EQ(added.status, 200) << added.text;
  EXPECT_EQ(added.at("/spec/ephemeralContainers/0/name"), "debugger");
  EXPECT_EQ(added.at("/spec/ephemeralContainers/0/terminationMessagePolicy"), "File");
  EXPECT_EQ(added.at("/metadata/generation"), 2);
  EXPECT_EQ(lab_.get(path).at("/kind"), "Pod");
  Json wanted = added.json;
  wanted["spec"]["ephemeralContainers"][0]["image"] = "other";
  wanted["spec"]["containers"][0]["image"] = "other";
  Answer changed = lab_.put(path, wanted);
  EXPECT_EQ(changed.status, 422);
  EXPECT_NE(changed.message().find("existing ephemeral containers \"debugger\" may not be changed"),
            std::string::npos)
      << changed.message();
}

TEST_F(KindsTest, PodsAreResizedThroughTheirSubresource) {
  ASSERT_EQ(lab_.post(kPods, pod("p")).status, 201);
  Json patch = {
      {"spec",
       {{"containers", {{{"name", "a"}, {"resources", {{"requests", {{"cpu", "1500m"}}}}}}}}}}};
  Answer main = lab_.patch(at(kPods, "p"), "strategic-merge-patch+json", patch);
  EXPECT_EQ(main.status, 422) << main.text;
  Answer resized = lab_.patch(at(kPods, "p") + "/resize", "strategic-merge-patch+json", patch);
  ASSERT_EQ(resized.status, 200) << resized.text;
  EXPECT_EQ(resized.at("/spec/containers/0/resources/requests/cpu"), "1500m");
  EXPECT_EQ(resized.at("/spec/containers/0/resources/requests/memory"), "1Gi");
  EXPECT_EQ(resized.at("/metadata/generation"), 2);
}

TEST_F(KindsTest, BindingsNameTheirPodInTheBody) {
  ASSERT_EQ(lab_.post(kPods, pod("p")).status, 201);
  Json binding = {{"metadata", {{"name", "p"}}}, {"target", {{"kind", "Node"}, {"name", "n1"}}}};
  Answer bound = lab_.post("/api/v1/namespaces/default/bindings", binding);
  ASSERT_EQ(bound.status, 201) << bound.text;
  EXPECT_EQ(bound.at("/status"), "Success");
  EXPECT_EQ(lab_.get(at(kPods, "p")).at("/spec/nodeName"), "n1");
  EXPECT_EQ(lab_.post("/api/v1/namespaces/default/bindings", binding).status, 409);
  EXPECT_EQ(lab_.get("/api/v1/namespaces/default/bindings").status, 405);
}

TEST_F(KindsTest, ComponentStatusesCanBeRead) {
  Answer list = lab_.get("/api/v1/componentstatuses");
  ASSERT_EQ(list.status, 200) << list.text;
  EXPECT_EQ(list.at("/kind"), "ComponentStatusList");
  EXPECT_EQ(list.at("/items/1/metadata/name"), "etcd-0");
  EXPECT_EQ(list.headers.get("Warning"), "299 - \"v1 ComponentStatus is deprecated in v1.19+\"");
  Answer one = lab_.get("/api/v1/componentstatuses/scheduler");
  EXPECT_EQ(one.at("/conditions/0/status"), "True");
  EXPECT_EQ(lab_.get("/api/v1/componentstatuses/none").status, 404);
  EXPECT_EQ(lab_.post("/api/v1/componentstatuses", {{"metadata", {{"name", "x"}}}}).status, 405);
}

TEST_F(KindsTest, JobsLeaveTheirPodsUnlessTold) {
  Answer made = lab_.post(kJobs, job("pi"));
  ASSERT_EQ(made.status, 201) << made.text;
  Json::json_pointer label("/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid");
  EXPECT_EQ(made.json.at(label), made.at("/metadata/uid"));
  Answer removed = lab_.remove(at(kJobs, "pi"));
  ASSERT_EQ(removed.status, 200) << removed.text;
  EXPECT_EQ(removed.at("/metadata/finalizers/0"), "orphan");
  EXPECT_NE(removed.headers.get("Warning").find("child pods are preserved by default"),
            std::string::npos);
  ASSERT_EQ(lab_.post(kJobs, job("c")).status, 201);
  ASSERT_EQ(lab_.post(kJobs, job("d")).status, 201);
  Answer all = lab_.remove(kJobs);
  ASSERT_EQ(all.status, 200) << all.text;
  EXPECT_EQ(std::count_if(all.headers.begin(), all.headers.end(),
                          [](const http::Header& header) { return header.name == "Warning"; }),
            1);
  ASSERT_EQ(lab_.post(kJobs, job("e")).status, 201);
  Answer background = lab_.remove(at(kJobs, "e"), {{"propagationPolicy", "Background"}});
  EXPECT_EQ(background.at("/status"), "Success") << background.text;
}

TEST_F(KindsTest, WarningsComeWithUpdatesOfTheSpecToo) {
  Json ingress = {
      {"metadata", {{"name", "i"}, {"annotations", {{"kubernetes.io/ingress.class", "x"}}}}},
      {"spec", {{"defaultBackend", {{"service", {{"name", "s"}, {"port", {{"number", 80}}}}}}}}}};
  const std::string path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
  Answer made = lab_.post(path, ingress);
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_NE(made.headers.get("Warning"), "");
  EXPECT_EQ(
      lab_.merge(at(path, "i"), {{"metadata", {{"labels", {{"a", "b"}}}}}}).headers.get("Warning"),
      "");
  EXPECT_NE(lab_.merge(at(path, "i"), {{"spec", {{"tls", {{{"hosts", {"a.example"}}}}}}}})
                .headers.get("Warning"),
            "");
}

}  // namespace
}  // namespace moth::server
