//! A browser without scripts: cookies, redirects, and the one form of a page.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use regex::Regex;
use url::{Url, form_urlencoded};

use crate::client::{Answer, Client};

const MOST_REDIRECTS: usize = 10;
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A browser of one person.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// Cookies by origin and name. `Secure` ones too: loopback is trustworthy to browsers.
    cookies: BTreeMap<(String, String), String>,
}

/// A page, and where it came from.
#[derive(Debug)]
pub struct Page {
    /// Its address.
    pub url: Url,
    /// The answer.
    pub answer: Answer,
}

impl Page {
    /// The page's text.
    pub fn html(&self) -> String {
        String::from_utf8_lossy(&self.answer.body).into_owned()
    }
}

/// The hidden fields of the page's forms; of a name that comes twice, the last.
pub fn fields(html: &str) -> Result<BTreeMap<String, String>> {
    let field = Regex::new(r#"<input type="hidden" name="([^"]*)" value="([^"]*)"\s*/?>"#)?;
    let unescaped = |text: &str| {
        let slashes = text.replace("&#x2f;", "/").replace("&quot;", "\"");
        slashes.replace("&#x27;", "'").replace("&amp;", "&")
    };
    let pairs = field.captures_iter(html);
    Ok(pairs
        .map(|pair| (pair[1].to_owned(), unescaped(&pair[2])))
        .collect())
}

impl Browser {
    /// Opens an address and follows redirects.
    pub async fn open(&mut self, url: &str) -> Result<Page> {
        self.open_until(url, |_| false).await
    }

    /// The same, but stops before an address that `stop` names; its page is the redirect.
    pub async fn open_until(&mut self, url: &str, stop: impl Fn(&Url) -> bool) -> Result<Page> {
        let answer = self
            .request(Method::GET, &Url::parse(url)?, String::new())
            .await?;
        self.follow(Url::parse(url)?, answer, stop).await
    }

    /// Sends a form and follows redirects.
    pub async fn send(&mut self, url: &str, fields: &BTreeMap<String, String>) -> Result<Page> {
        self.send_until(url, fields, |_| false).await
    }

    /// The same, but stops before an address that `stop` names.
    pub async fn send_until(
        &mut self,
        url: &str,
        fields: &BTreeMap<String, String>,
        stop: impl Fn(&Url) -> bool,
    ) -> Result<Page> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let url = Url::parse(url)?;
        let answer = self.request(Method::POST, &url, body).await?;
        self.follow(url, answer, stop).await
    }

    async fn follow(
        &mut self,
        mut url: Url,
        mut answer: Answer,
        stop: impl Fn(&Url) -> bool,
    ) -> Result<Page> {
        for _ in 0..MOST_REDIRECTS {
            if !answer.status.is_redirection() {
                return Ok(Page { url, answer });
            }
            let next = url.join(answer.header("location"))?;
            if stop(&next) {
                return Ok(Page { url: next, answer });
            }
            ensure!(next.scheme() == "http", "a browser was sent to {next}");
            answer = self.request(Method::GET, &next, String::new()).await?;
            url = next;
        }
        bail!("the redirects do not end: {url}")
    }

    async fn request(&mut self, method: Method, url: &Url, body: String) -> Result<Answer> {
        let origin = url.origin().ascii_serialization();
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == origin)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("accept", "text/html"), ("cookie", &*cookies)];
        if method == Method::POST {
            headers.push(FORM);
        }
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let answer = Client::new(&*origin)
            .send(method, path, &headers, body)
            .await?;
        for cookie in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = cookie.to_str()?.split_once(';').context("a bare cookie")?;
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            let key = (origin.clone(), name.to_owned());
            match attributes.contains("Max-Age=0;") {
                true => drop(self.cookies.remove(&key)),
                false => drop(self.cookies.insert(key, value.to_owned())),
            }
        }
        Ok(answer)
    }
}
