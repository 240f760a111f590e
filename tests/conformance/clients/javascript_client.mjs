// What a user of the JavaScript client does: run by test_clients.py with KUBECONFIG, a namespace and an image.
import * as k8s from '@kubernetes/client-node';
import net from 'node:net';
import stream from 'node:stream';

const [namespace, image] = process.argv.slice(2);
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);

function check(condition, what) {
  if (!condition) throw new Error(what);
  console.log('ok', what);
}

async function expectCode(code, promise, what) {
  try {
    await promise;
  } catch (error) {
    check(error.code === code, `${what} gives ${code} (is ${error.code})`);
    return;
  }
  throw new Error(`${what} did not fail with ${code}`);
}

function within(seconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function objects() {
  const body = { metadata: { name: 'js', labels: { a: '1' } }, data: { k: 'v' } };
  const made = await core.createNamespacedConfigMap({ namespace, body });
  check(made.metadata.uid && made.data.k === 'v', 'create');
  await expectCode(409, core.createNamespacedConfigMap({ namespace, body }), 'a second create');
  await expectCode(404, core.readNamespacedConfigMap({ namespace, name: 'nothing' }), 'read of nothing');
  made.data.k = 'w';
  check((await core.replaceNamespacedConfigMap({ namespace, name: 'js', body: made })).data.k === 'w', 'replace');
  const patched = await core.patchNamespacedConfigMap(
    { namespace, name: 'js', body: [{ op: 'add', path: '/data/j', value: 'y' }] },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.JsonPatch));
  check(patched.data.j === 'y', 'json patch');
  const merged = await core.patchNamespacedConfigMap(
    { namespace, name: 'js', body: { data: { j: null } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch));
  check(merged.data.j === undefined, 'merge patch');
  const applied = await core.patchNamespacedConfigMap(
    { namespace, name: 'applied', fieldManager: 'js-test', force: true,
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { a: '1' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply));
  check(applied.metadata.managedFields.some((entry) => entry.manager === 'js-test'), 'server-side apply');
  const list = await core.listNamespacedConfigMap({ namespace, labelSelector: 'a=1' });
  check(list.items.length === 1, 'list');
  await core.deleteNamespacedConfigMap({ namespace, name: 'js' });
  await expectCode(404, core.readNamespacedConfigMap({ namespace, name: 'js' }), 'read after delete');
}

async function informer() {
  const seen = [];
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/secrets`,
    () => core.listNamespacedSecret({ namespace }));
  const gone = new Promise((resolve, reject) => {
    informer.on('error', reject);
    for (const verb of ['add', 'update', 'delete']) {
      informer.on(verb, (secret) => {
        seen.push(`${verb} ${secret.metadata.name}`);
        if (verb === 'delete') resolve();
      });
    }
  });
  await informer.start();
  await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { a: 'b' } } });
  await core.patchNamespacedSecret({ namespace, name: 's', body: { metadata: { labels: { x: 'y' } } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch));
  await core.deleteNamespacedSecret({ namespace, name: 's' });
  await within(20, gone, 'informer');
  await informer.stop();
  check(seen.join() === 'add s,update s,delete s', `informer: ${seen}`);
}

async function reached(path, name, condition, what) {
  const watch = new k8s.Watch(config);
  let request;
  const seen = new Promise((resolve, reject) => {
    watch.watch(path, { timeoutSeconds: 30 },
      (type, object) => {
        if (object.metadata.name === name && condition(object)) resolve();
      },
      (error) => reject(error ?? new Error('the watch ended'))).then((made) => { request = made; }, reject);
  });
  await within(40, seen, what);
  request.abort();
}

function available(name, replicas) {
  return reached(`/apis/apps/v1/namespaces/${namespace}/deployments`, name,
    (object) => object.status?.availableReplicas === replicas, `${replicas} replicas of ${name}`);
}

async function workload() {
  const labels = { app: 'js' };
  await apps.createNamespacedDeployment({ namespace, body: {
    metadata: { name: 'js' },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image, readinessProbe: { periodSeconds: 1, httpGet: { path: '/readyz', port: 8080 } } }],
    } } },
  } });
  await available('js', 1);
  await apps.patchNamespacedDeploymentScale({ namespace, name: 'js', body: { spec: { replicas: 2 } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch));
  await available('js', 2);
  check(true, 'deployment, watch and scale');
  return (await core.listNamespacedPod({ namespace, labelSelector: 'app=js' })).items[0].metadata.name;
}

function collector() {
  const pieces = [];
  const sink = new stream.Writable({ write(chunk, _, done) { pieces.push(chunk); done(); } });
  sink.text = () => Buffer.concat(pieces).toString();
  return sink;
}

async function streams(pod) {
  const out = collector(), err = collector();
  const status = await within(20, new Promise((resolve, reject) => {
    new k8s.Exec(config).exec(namespace, pod, 'main', ['/bin/sh', '-c', 'read line; echo got $line; echo bad >&2; exit 3'],
      out, err, stream.Readable.from(['it\n']), false, resolve).catch(reject);
  }), 'exec');
  check(out.text() === 'got it\n' && err.text() === 'bad\n', 'exec');
  check(status.status === 'Failure' && status.details.causes[0].message === '3', 'exit code');

  const forward = new k8s.PortForward(config);
  const server = net.createServer((socket) => forward.portForward(namespace, pod, [8080], socket, null, socket));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const answer = await within(20, new Promise((resolve, reject) => {
    let text = '';
    const client = net.connect(server.address().port, '127.0.0.1', () => client.write('GET /readyz HTTP/1.0\r\n\r\n'));
    client.on('data', (data) => {
      text += data;
      if (text.includes('\r\n\r\n')) resolve(text);
    });
    client.on('error', reject);
  }), 'port-forward');
  server.close();
  check(answer.includes(' 200 '), 'port-forward');

  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'talk-js' }, spec: { restartPolicy: 'Never',
    containers: [{ name: 'main', image, command: ['/bin/sh', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.2; done'] }] } } });
  const log = collector();
  await reached(`/api/v1/namespaces/${namespace}/pods`, 'talk-js',
    (pod) => ['Running', 'Succeeded'].includes(pod.status?.phase), 'talk-js runs');
  const ended = new Promise((resolve) => log.on('finish', resolve));
  await new k8s.Log(config).log(namespace, 'talk-js', 'main', log, { follow: true });
  await within(20, ended, 'logs');
  check(log.text() === 'line 1\nline 2\nline 3\n', 'logs that follow');
}

try {
  await objects();
  await informer();
  await streams(await workload());
  console.log('done');
  process.exit(0);
} catch (error) {
  console.error('javascript client:', error);
  process.exit(1);
}
