// Whole command lines that need no server: what is printed and the exit code.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "ctl/cli/context.h"
#include "ctl/commands/all.h"

namespace moth::ctl {
namespace {

struct Ran {
  int code = 0;
  std::string out, err;
};

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("moth-ctl-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    ::setenv("KUBECONFIG", (folder_ / "config").c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("KUBECONFIG");
    std::filesystem::remove_all(folder_);
  }

  Ran run(const std::vector<std::string>& args, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out, err;
    Command root = all_commands();
    int code = run_command_line(root, args, {in, out, err, false});
    return {code, out.str(), err.str()};
  }
  // The YAML of `create ARGS --dry-run=client -o yaml`.
  std::string made(std::vector<std::string> args) {
    args.insert(args.begin(), "create");
    auto dashes = std::find(args.begin(), args.end(), "--");
    args.insert(dashes, {"--dry-run=client", "-o", "yaml"});
    Ran ran = run(args);
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out;
  }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }

  std::filesystem::path folder_;
};

constexpr const char* kPod =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p1, labels: {app: p}}\n"
    "spec: {containers: [{name: c, image: nope}]}\n";

TEST_F(CommandLine, CreateCronJob) {
  EXPECT_EQ(made({"cronjob", "c", "--image=i", "--schedule=* * * * *", "--restart=Never", "--", "a",
                  "b"}),
            R"(apiVersion: batch/v1
kind: CronJob
metadata:
  name: c
spec:
  jobTemplate:
    metadata:
      name: c
    spec:
      template:
        metadata: {}
        spec:
          containers:
          - command:
            - a
            - b
            image: i
            name: c
            resources: {}
          restartPolicy: Never
  schedule: '* * * * *'
status: {}
)");
}

TEST_F(CommandLine, CreateIngress) {
  EXPECT_EQ(made({"ingress", "in", "--rule=foo.com/path*=svc:8080,tls=sec", "--rule=/a=b:http",
                  "--default-backend=x:80", "--annotation=a=b", "--class=cc"}),
            R"(apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  annotations:
    a: b
  name: in
spec:
  defaultBackend:
    service:
      name: x
      port:
        number: 80
  ingressClassName: cc
  rules:
  - host: foo.com
    http:
      paths:
      - backend:
          service:
            name: svc
            port:
              number: 8080
        path: /path
        pathType: Prefix
  - http:
      paths:
      - backend:
          service:
            name: b
            port:
              name: http
        path: /a
        pathType: Exact
  tls:
  - hosts:
    - foo.com
    secretName: sec
status:
  loadBalancer: {}
)");
}

TEST_F(CommandLine, CreateBindings) {
  EXPECT_EQ(
      made({"rolebinding", "rb", "--role=x", "--user=u", "--group=g", "--serviceaccount=a:b"}),
      R"(apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: rb
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: x
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: u
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: g
- kind: ServiceAccount
  name: b
  namespace: a
)");
  EXPECT_EQ(made({"clusterrole", "c", "--aggregation-rule=a=b,c=d"}),
            R"(aggregationRule:
  clusterRoleSelectors:
  - matchLabels:
      a: b
      c: d
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: c
rules: null
)");
}

TEST_F(CommandLine, CreatePolicies) {
  EXPECT_NE(made({"pdb", "p", "--selector=a=b", "--min-available=50%"})
                .find("spec:\n  minAvailable: 50%\n  selector:\n    matchLabels:\n      a: b\n"),
            std::string::npos);
  EXPECT_NE(made({"pdb", "p", "--selector=a=b", "--max-unavailable=1"}).find("maxUnavailable: 1\n"),
            std::string::npos);
  EXPECT_EQ(made({"quota", "q", "--hard=cpu=1,pods=2", "--scopes=BestEffort"}),
            R"(apiVersion: v1
kind: ResourceQuota
metadata:
  name: q
spec:
  hard:
    cpu: "1"
    pods: "2"
  scopes:
  - BestEffort
status: {}
)");
  EXPECT_EQ(made({"priorityclass", "pc", "--value=5", "--description=x"}),
            R"(apiVersion: scheduling.k8s.io/v1
description: x
kind: PriorityClass
metadata:
  name: pc
preemptionPolicy: PreemptLowerPriority
value: 5
)");
}

TEST_F(CommandLine, HashesAreKubectls) {
  EXPECT_NE(made({"cm", "x", "--append-hash", "--from-literal=a=b"}).find("name: x-64686gkt6c\n"),
            std::string::npos);
  EXPECT_NE(made({"cm", "x", "--append-hash"}).find("name: x-62ctbmbfd2\n"), std::string::npos);
  EXPECT_NE(made({"secret", "generic", "x", "--append-hash", "--from-literal=a=b"})
                .find("name: x-k694gm4m9h\n"),
            std::string::npos);
}

TEST_F(CommandLine, RefusalsOfGenerators) {
  struct Case {
    std::vector<std::string> args;
    const char* error;
  };
  for (
      const Case& one : std::vector<Case>{
          {{"create", "quota"},
           "error: exactly one NAME is required, got 0\nSee 'moth create quota -h' for help and "
           "examples\n"},
          {{"create", "cronjob", "x"}, "error: required flag(s) \"image\", \"schedule\" not set\n"},
          {{"create", "pdb", "p"}, "error: a selector must be specified\n"},
          {{"create", "pdb", "p", "--selector=a=b"},
           "error: one of min-available or max-unavailable must be specified\n"},
          {{"create", "pdb", "p", "--selector=a=b", "--min-available=x"},
           "error: invalid format specified for min-available\n"},
          {{"create", "rolebinding", "x"},
           "error: exactly one of clusterrole or role must be specified\n"},
          {{"create", "rolebinding", "x", "--serviceaccount=a", "--role=r"},
           "error: serviceaccount must be <namespace>:<name>\n"},
          {{"create", "role", "r"}, "error: at least one verb must be specified\n"},
          {{"create", "ingress", "i", "--rule=foo"},
           "error: rule foo is invalid and should be in format "
           "host/path=svcname:svcport[,tls[=secret]]\n"},
          {{"create", "job", "j"}, "error: either --image or --from must be specified\n"},
          {{"apply", "-f", "x", "--prune"},
           "error: all resources selected for prune without explicitly passing --all. To prune all "
           "resources, pass the --all flag. If you did not mean to prune all resources, specify a "
           "label selector\n"},
          {{"apply", "-f", "x", "--applyset=a"},
           "error: --applyset is not supported: use --prune with -l SELECTOR or --all\n"},
          {{"get"},
           "You must specify the type of resource to get. Use \"moth api-resources\" for a "
           "complete "
           "list of supported resources.\n\nerror: Required resource not specified.\nUse \"moth "
           "explain <resource>\" for a detailed description of that resource (e.g. moth explain "
           "pods).\nSee 'moth get -h' for help and examples\n"},
          {{"taint"}, "error: one or more resources must be specified as <resource> <name>\n"}}) {
    Ran ran = run(one.args);
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.err, one.error);
  }
}

TEST_F(CommandLine, LocalChangesAskNoServer) {
  Ran ran = run({"label", "--local", "-f", "-", "x=y"}, kPod);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "pod/p1 labeled\n");
  ran = run(
      {"set", "image", "--local", "-f", "-", "c=new", "-o", "jsonpath={.spec.containers[0].image}"},
      kPod);
  EXPECT_EQ(ran.out, "new");
  ran = run({"set", "env", "--local", "-f", "-", "A=b", "-o",
             "jsonpath={.spec.containers[0].env[0].name}"},
            kPod);
  EXPECT_EQ(ran.out, "A");
  ran = run({"patch", "--local", "-f", "-", "-p", "{\"metadata\":{\"labels\":{\"q\":\"r\"}}}", "-o",
             "jsonpath={.metadata.labels}"},
            kPod);
  EXPECT_EQ(ran.out, "{\"app\":\"p\",\"q\":\"r\"}");
  ran = run({"annotate", "--local", "-f", "-", "n=1"}, kPod);
  EXPECT_EQ(ran.out, "pod/p1 annotated\n");
  ran = run({"wait", "--local", "-f", "-", "--for=jsonpath={.metadata.name}=p1"}, kPod);
  EXPECT_EQ(ran.out, "pod/p1 condition met\n");
}

TEST_F(CommandLine, ConfigIsWrittenStepByStep) {
  auto expect = [&](const std::vector<std::string>& args, const std::string& out) {
    Ran ran = run(args);
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.out, out);
  };
  std::string path = (folder_ / "config").string();
  expect({"config", "set-cluster", "c1", "--server=https://x:1/", "--insecure-skip-tls-verify"},
         "Cluster \"c1\" set.\n");
  expect({"config", "set-credentials", "u1", "--token=abc"}, "User \"u1\" set.\n");
  expect({"config", "set-context", "cc", "--cluster=c1", "--user=u1", "-n", "q"},
         "Context \"cc\" created.\n");
  expect({"config", "rename-context", "cc", "d.d"}, "Context \"cc\" renamed to \"d.d\".\n");
  expect({"config", "use-context", "d.d"}, "Switched to context \"d.d\".\n");
  expect(
      {"config", "get-contexts"},
      "CURRENT   NAME   CLUSTER   AUTHINFO   NAMESPACE\n*         d.d    c1        u1         q\n");
  expect({"config", "set", "contexts.d.d.namespace", "foo"},
         "Property \"contexts.d.d.namespace\" set.\n");
  expect({"config", "view", "-o", "jsonpath={.contexts[0].context.namespace}"}, "foo");
  expect({"config", "unset", "contexts.d.d.namespace"},
         "Property \"contexts.d.d.namespace\" unset.\n");
  expect({"config", "get-users"}, "NAME\nu1\n");
  expect({"config", "view", "-o", "jsonpath={.users[0].user.token}"}, "REDACTED");
  expect({"config", "view", "--raw", "-o", "jsonpath={.users[0].user.token}"}, "abc");
  expect({"config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"},
         "https://x:1");
  expect({"config", "delete-user", "u1"}, "deleted user u1 from " + path + "\n");
  expect({"config", "delete-context", "d.d"}, "deleted context d.d from " + path + "\n");
  EXPECT_EQ(run({"config", "delete-cluster", "nope"}).err,
            "error: cannot delete cluster nope, not in " + path + "\n");
}

TEST_F(CommandLine, HelpAndUnknownCommands) {
  Ran ran = run({"create", "--help"});
  EXPECT_EQ(ran.code, 0);
  for (const char* child : {"clusterrole", "cronjob", "ingress", "poddisruptionbudget", "token"})
    EXPECT_NE(ran.out.find(child), std::string::npos) << child;
  ran = run({"gett"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(ran.err, "error: unknown command \"gett\" for \"moth\"\n\nDid you mean this?\n\tget\n");
  EXPECT_EQ(run({"get", "--bogus"}).err,
            "error: unknown flag: --bogus\nSee 'moth get --help' for usage.\n");
}

TEST_F(CommandLine, CompletionOffersCommandsFlagsAndContexts) {
  run({"config", "set-context", "abc", "--cluster=c"});
  EXPECT_EQ(run({"__complete", "--", "port"}).out, "port-forward\n");
  EXPECT_EQ(run({"__complete", "--", "create", "clusterrole"}).out,
            "clusterrole\nclusterrolebinding\n");
  EXPECT_EQ(run({"__complete", "--", "config", "use-context", "a"}).out, "abc\n");
  EXPECT_EQ(run({"__complete", "--", "get", "--show-l"}).out, "--show-labels\n");
  for (const char* shell : {"bash", "zsh", "fish"})
    EXPECT_NE(run({"completion", shell}).out.find("__complete"), std::string::npos);
  EXPECT_EQ(run({"completion", "tcsh"}).code, 1);
}

TEST_F(CommandLine, EveryCommandHasAFunctionOrChildrenAndUniqueFlags) {
  std::function<void(const Command&, std::string)> check = [&](const Command& command,
                                                               std::string path) {
    path += std::string(command.name);
    EXPECT_TRUE(command.run || !command.children.empty()) << path;
    EXPECT_TRUE(command.hidden || command.name == "moth" || !command.summary.empty()) << path;
    std::set<std::string_view> names;
    std::set<char> letters;
    for (const FlagSpec& flag : command.flags) {
      EXPECT_TRUE(names.insert(flag.name).second) << path << " --" << flag.name;
      if (flag.letter)
        EXPECT_TRUE(letters.insert(flag.letter).second) << path << " -" << flag.letter;
    }
    for (const Command& child : command.children) check(child, path + " ");
  };
  check(all_commands(), "");
}

}  // namespace
}  // namespace moth::ctl
