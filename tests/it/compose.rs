//! docker-compose.yml and Dockerfile against the files they name: paths, ports, options, users. There may be no container
//! engine where this runs; what can be known without one is checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use forewarn::{
    engine::config::{Config, OutletKind},
    model::yaml::Node,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn yaml(path: &str) -> Node {
    Node::parse(&text(path)).unwrap_or_else(|e| panic!("{path}: {e:?}"))
}

fn words(node: Option<&Node>) -> Vec<String> {
    node.map_or_else(Vec::new, |n| n.texts().into_iter().map(|t| t.value).collect())
}

fn word(node: &Node, name: &str) -> String {
    node.get(name).and_then(Node::text).map(|t| t.value).unwrap_or_default()
}

/// One service of the compose file.
struct Service {
    image: String,
    command: Vec<String>,
    ports: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Path in the container → path in this repository.
    mounts: BTreeMap<String, PathBuf>,
    /// Path in the container → named volume.
    volumes: BTreeMap<String, String>,
}

impl Service {
    fn read(node: &Node) -> Self {
        let (mut mounts, mut volumes) = (BTreeMap::new(), BTreeMap::new());
        for volume in words(node.get("volumes")) {
            let parts: Vec<&str> = volume.split(':').collect();
            match parts[0].strip_prefix("./") {
                Some(path) => {
                    assert_eq!(parts.get(2), Some(&"ro"), "{volume} can be written to");
                    mounts.insert(parts[1].to_owned(), root().join(path));
                }
                None => {
                    volumes.insert(parts[1].to_owned(), parts[0].to_owned());
                }
            }
        }
        let environment = node.get("environment").map_or(&[][..], Node::entries);
        let pair = |(k, v): &(_, Node)| {
            let k: &forewarn::model::yaml::Spanned<String> = k;
            (k.value.clone(), v.text().unwrap().value)
        };
        Self {
            image: word(node, "image"),
            command: words(node.get("command")),
            ports: words(node.get("ports")),
            environment: environment.iter().map(pair).collect(),
            mounts,
            volumes,
        }
    }

    /// The file of this repository that the container sees at `path`.
    fn file(&self, path: &str) -> PathBuf {
        let under = |(at, here): (&String, &PathBuf)| {
            let rest = Path::new(path).strip_prefix(at).ok()?;
            Some(if rest.as_os_str().is_empty() { here.clone() } else { here.join(rest) })
        };
        let found = self.mounts.iter().filter_map(under).next_back();
        found.unwrap_or_else(|| panic!("nothing is mounted at {path}"))
    }

    fn option(&self, name: &str) -> String {
        let found = self.command.iter().find_map(|o| o.strip_prefix(&format!("--{name}=")));
        found.unwrap_or_else(|| panic!("no --{name}")).to_owned()
    }

    /// Whether `path` lies in a named volume.
    fn keeps(&self, path: &str) -> bool {
        self.volumes.keys().any(|at| Path::new(path).starts_with(at))
    }
}

fn services() -> BTreeMap<String, Service> {
    let compose = yaml("docker-compose.yml");
    let services = compose.get("services").unwrap().entries();
    services.iter().map(|(name, node)| (name.value.clone(), Service::read(node))).collect()
}

/// The instructions of the Dockerfile with their arguments.
fn instructions() -> Vec<(String, String)> {
    let text = text("Dockerfile");
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    let split = |l: &str| {
        let (name, rest) = l.split_once(' ').unwrap();
        (name.to_owned(), rest.trim().to_owned())
    };
    lines.map(split).collect()
}

fn of(name: &str) -> Vec<String> {
    instructions().into_iter().filter(|(n, _)| n == name).map(|(_, rest)| rest).collect()
}

/// What the final image holds: path in it → path in this repository.
fn shipped() -> BTreeMap<String, PathBuf> {
    let copies = of("COPY");
    let own = copies.iter().filter(|c| !c.starts_with("--from"));
    let pairs = own.filter_map(|c| c.split_once(' ')).filter(|(_, to)| to.starts_with('/'));
    pairs.map(|(from, to)| (to.to_owned(), root().join(from))).collect()
}

fn shipped_file(path: &Path) -> PathBuf {
    let shipped = shipped();
    let found = shipped.iter().find_map(|(at, here)| Some(here.join(path.strip_prefix(at).ok()?)));
    found.unwrap_or_else(|| panic!("the image holds nothing at {}", path.display()))
}

/// Host and port of a URL or a target.
fn host_and_port(text: &str) -> (String, String) {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = bare.trim_end_matches('/').rsplit_once(':').unwrap();
    (host.to_owned(), port.to_owned())
}

#[test]
fn mounts_and_volumes_are_there() {
    let services = services();
    assert_eq!(
        services.keys().map(String::as_str).collect::<Vec<_>>(),
        ["alertmanager", "forewarn", "grafana", "prometheus"]
    );
    let mut used = BTreeSet::new();
    for (name, service) in &services {
        for (at, path) in &service.mounts {
            assert!(path.exists(), "{name}: {at} is mounted from {}", path.display());
        }
        used.extend(service.volumes.values().cloned());
        let (_, tag) = service.image.rsplit_once(':').unwrap_or(("", ""));
        let pinned = name == "forewarn" || tag.chars().any(|c| c.is_ascii_digit());
        assert!(pinned, "{name}: image {:?} has no fixed tag", service.image);
    }
    let compose = yaml("docker-compose.yml");
    let declared = compose.get("volumes").unwrap().entries();
    let declared: BTreeSet<String> = declared.iter().map(|(k, _)| k.value.clone()).collect();
    assert_eq!(used, declared);
}

#[test]
fn ports_are_those_that_the_services_listen_on_and_loopback_only() {
    let config = Config::parse(
        Path::new("/etc/forewarn/forewarn.yaml"),
        &text("dashboards/compose/forewarn.yaml"),
    );
    let own = config.unwrap().listen.port().to_string();
    for (name, service) in services() {
        // The ports that the images listen on unless they are told otherwise.
        let port = match name.as_str() {
            "forewarn" => own.as_str(),
            "prometheus" => "9090",
            "alertmanager" => "9093",
            _ => "3000",
        };
        let told_otherwise = service.command.iter().any(|o| o.starts_with("--web.listen-address"));
        assert!(!told_otherwise, "{name}");
        assert_eq!(service.ports, [format!("127.0.0.1:{port}:{port}")], "{name}");
    }
    assert_eq!(of("EXPOSE"), [own]);
}

#[test]
fn forewarn_finds_its_files_and_its_alertmanager() {
    let services = services();
    let service = &services["forewarn"];
    assert_eq!(service.command[..2], ["run", "--config"]);
    let file = service.file(&service.command[2]);
    let config = Config::parse(Path::new(&service.command[2]), &fs::read_to_string(file).unwrap());
    let config = config.unwrap();
    config.check_listen().unwrap();
    assert!(service.keeps(config.data.to_str().unwrap()), "{}", config.data.display());
    assert!(shipped_file(&config.rules).join("feeds").is_dir());
    for source in &config.sources {
        assert!(shipped_file(&source.path).is_file(), "{}", source.path.display());
        let feed = format!("rules/feeds/{}.yaml", source.feed);
        assert!(root().join(&feed).is_file(), "{feed}");
    }
    assert_eq!(config.sources.len(), 3);
    let [outlet] = config.outlets.as_slice() else { panic!("{:?}", config.outlets) };
    let OutletKind::Alertmanager { url } = &outlet.kind else { panic!("{outlet:?}") };
    let (host, port) = host_and_port(url);
    assert!(services[&host].ports[0].ends_with(&format!(":{port}")), "{url}");
}

#[test]
fn prometheus_and_alertmanager_find_their_files_and_each_other() {
    let services = services();
    let prometheus = &services["prometheus"];
    let file = prometheus.file(&prometheus.option("config.file"));
    assert!(prometheus.keeps(&prometheus.option("storage.tsdb.path")));
    let config = yaml(file.strip_prefix(root()).unwrap().to_str().unwrap());
    for rules in words(config.get("rule_files")) {
        let at = Path::new(&prometheus.option("config.file")).with_file_name("").join(&rules);
        assert!(prometheus.file(at.to_str().unwrap()).is_file(), "{rules}");
    }
    let mut targets = Vec::new();
    let managers = config.get("alerting").unwrap().get("alertmanagers").unwrap().items();
    for part in config.get("scrape_configs").unwrap().items().iter().chain(managers) {
        for fixed in part.get("static_configs").unwrap().items() {
            targets.extend(words(fixed.get("targets")));
        }
    }
    assert_eq!(targets, ["forewarn:8420", "localhost:9090", "alertmanager:9093"]);
    for target in targets {
        let (host, port) = host_and_port(&target);
        let service = if host == "localhost" { prometheus } else { &services[&host] };
        assert!(service.ports[0].ends_with(&format!(":{port}")), "{target}");
    }
    let alertmanager = &services["alertmanager"];
    assert!(alertmanager.file(&alertmanager.option("config.file")).is_file());
    assert!(alertmanager.keeps(&alertmanager.option("storage.path")));
    assert_eq!(alertmanager.option("cluster.listen-address"), "");
    for (service, program) in
        [(prometheus, "prometheus"), (alertmanager, "prometheus-alertmanager")]
    {
        let Ok(help) = Command::new(program).arg("--help").output() else {
            println!("SKIPPED: {program} is not installed, its options are not checked");
            continue;
        };
        let help = String::from_utf8_lossy(&[help.stdout, help.stderr].concat()).into_owned();
        for option in &service.command {
            let name = option.split('=').next().unwrap();
            assert!(help.contains(name), "{program} has no {name}");
        }
    }
}

#[test]
fn grafana_finds_its_source_and_its_dashboards() {
    let services = services();
    let grafana = &services["grafana"];
    let provisioning = "/etc/grafana/provisioning";
    assert!(grafana.file(&format!("{provisioning}/datasources/prometheus.yaml")).is_file());
    assert!(grafana.file(&format!("{provisioning}/dashboards/forewarn.yaml")).is_file());
    let sources = yaml("dashboards/grafana/provisioning/datasources/prometheus.yaml");
    let [source] = sources.get("datasources").unwrap().items() else { panic!("one source") };
    let (host, port) = host_and_port(&word(source, "url"));
    assert!(services[&host].ports[0].ends_with(&format!(":{port}")));
    let scrape = yaml("dashboards/prometheus/prometheus.yml");
    let interval = word(scrape.get("global").unwrap(), "scrape_interval");
    assert_eq!(word(source.get("jsonData").unwrap(), "timeInterval"), interval);
    let providers = yaml("dashboards/grafana/provisioning/dashboards/forewarn.yaml");
    let providers = providers.get("providers").unwrap().items();
    assert_eq!(providers.len(), 2);
    for provider in providers {
        let path = word(provider.get("options").unwrap(), "path");
        let files = fs::read_dir(grafana.file(&path)).unwrap();
        assert_eq!(files.count(), 3, "{path}");
    }
    let home = &grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert!(grafana.file(home).is_file(), "{home}");
}

#[test]
fn the_image_is_small_has_no_rights_and_can_tell_its_health() {
    let from = of("FROM");
    assert_eq!(from.len(), 2, "one stage to build, one to run");
    let minimum = text("Cargo.toml");
    let minimum = minimum.lines().find_map(|l| l.strip_prefix("rust-version = ")).unwrap();
    assert!(from[0].contains(&format!("rust:{}-", minimum.trim_matches('"'))), "{from:?}");
    let last = instructions().iter().rposition(|(name, _)| name == "FROM").unwrap();
    let user = instructions()[last..].iter().find(|(n, _)| n == "USER").unwrap().1.clone();
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    let owner = of("COPY").iter().any(|c| c.contains(&format!("--chown={user} ")));
    assert!(owner, "the data directory does not belong to {user}");
    // What is copied from here is there, and not kept out.
    let ignore = text(".dockerignore");
    let let_in: Vec<&str> = ignore.lines().filter_map(|l| l.strip_prefix('!')).collect();
    for copy in of("COPY").iter().filter(|c| !c.starts_with("--from")) {
        let parts: Vec<&str> = copy.split(' ').collect();
        for part in &parts[..parts.len() - 1] {
            assert!(root().join(part).exists(), "{part}");
            assert!(let_in.contains(part), "{part} is kept out by .dockerignore");
        }
    }
    // The commands are ones that forewarn knows.
    let arguments = |text: &str| -> Vec<String> {
        serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
    };
    let health = arguments(&of("HEALTHCHECK")[0]);
    assert_eq!(arguments(&of("ENTRYPOINT")[0])[0], health[0]);
    let run = [health[0].clone()].into_iter().chain(arguments(&of("CMD")[0])).collect::<Vec<_>>();
    for command in [health, run] {
        let mut known = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        let done = known.args(&command[1..]).arg("--help").output().unwrap();
        assert!(done.status.success(), "{command:?}");
    }
}
