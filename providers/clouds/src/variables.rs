//! What the process's environment says about the clouds that it runs in.

use keyferry_rest::BaseUrl;

/// Environment variables. One that is empty counts as absent, and white space around a value makes no difference.
#[derive(Debug)]
pub struct Variables<F>(F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    /// Those that `lookup` knows.
    pub fn new(lookup: F) -> Self {
        Self(lookup)
    }

    /// What the variable `name` holds.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The address that the variable `name` holds. The text of an error names the variable, and nothing of its content.
    pub fn address(&self, name: &str) -> Result<Option<BaseUrl>, String> {
        address(name, self.text(name))
    }

    /// As [`Variables::address`], for a variable that holds a host, perhaps with a port.
    pub fn host(&self, name: &str) -> Result<Option<BaseUrl>, String> {
        address(name, self.text(name).map(|host| format!("http://{host}")))
    }
}

fn address(name: &str, text: Option<String>) -> Result<Option<BaseUrl>, String> {
    let url = text.map(|text| BaseUrl::parse(&text)).transpose();
    url.map_err(|wrong| format!("the variable {name} of the operator's environment {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::Variables;

    fn holding(value: &'static str) -> Variables<impl Fn(&str) -> Option<String>> {
        Variables::new(move |name| (name == "A").then(|| value.to_owned()))
    }

    #[test]
    fn what_is_empty_is_absent() {
        assert_eq!(holding(" a\n").text("A").as_deref(), Some("a"));
        assert_eq!([holding(" \n").text("A"), holding("a").text("B")], [None, None]);
        assert_eq!((holding("").address("A"), holding("").host("A")), (Ok(None), Ok(None)));
    }

    #[test]
    fn addresses_and_hosts_are_read_and_refused_by_name() {
        let shown = |url: Option<keyferry_rest::BaseUrl>| url.map(|url| url.to_string());
        assert_eq!(holding("https://a/b/").address("A").map(shown), Ok(Some("https://a/b".into())));
        assert_eq!(holding("127.0.0.1:8080").host("A").map(shown), Ok(Some("http://127.0.0.1:8080".into())));
        let wrong = Err("the variable A of the operator's environment must not hold a user name or password".into());
        assert_eq!(holding("https://me:hunter2@a").address("A"), wrong);
        assert_eq!(holding("me:hunter2@a").host("A"), wrong);
    }
}
