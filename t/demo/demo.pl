#!/usr/bin/env perl

# The gateway before simulated providers: one call for each, and what the
# caller sent beside what the provider received, then what came back. Ends
# with 0 when every call worked. KEEP=1 leaves everything running until
# Ctrl-C and prints the addresses.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use MIME::Base64 qw(encode_base64);
use Mojo::Util   qw(url_escape);
use Test::Idpay;
use Test::Idpay::Consent qw(give);
use Test::Idpay::Logs qw(forms_of leaks);

use constant { WIDTH => 100, BODY_LINES => 3 };

my $json  = "Content-Type: application/json";
my @calls = (
    {   name => 'plusid',
        call => 'POST /plusid/v1/requests',
        body => '{"pay":{"totalGross":1250},"sendVia":"SMS"}',
    },
    {   name => 'passportreader',
        call => 'POST /passportreader/api/v1/session.create',
        body => '{"reference":"customer-7"}',
    },
    {   name => 'plasmapay',
        call => 'GET /plasmapay/business/api/v1/public/ping',
    },
    {   name => 'plaid',
        call => 'POST /plaid/identity_verification/list',
        body => '{"template_id":"idvtmp_1","client_user_id":"customer-7"}',
    },
    {   name => 'gopay',
        call => 'GET /gopay/v1/client/client-profile/581/identification-status',
    },
    {   name => 'generic',
        call => 'GET /generic/customers/7?fields=name',
    },
);

my $t    = Test::Idpay->new;
my %sims = map { $_ => $t->sim($_) } map { $_->{name} } @calls;
$t->secret('store_key');
$sims{generic}->expect(
    headers => { 'X-Service-Token' => $t->secret_value('generic_key') });

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store_key%%;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%
    %%UPSTREAM_gopay%%

    upstream generic {
        server          %%SIM_generic%%;
        idpay_provider  generic;
        idpay_auth      header X-Service-Token;
        idpay_host      generic.test;
        idpay_secret    key  file:%%SECRET_generic_key%%;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /plusid/         { idpay_pass plusid/; }
        location /passportreader/ { idpay_pass passportreader/; }
        location /plasmapay/      { idpay_pass plasmapay/; }
        location /plaid/          { idpay_pass plaid/; }
        location /gopay/          { idpay_pass gopay/; }
        location = /consent       { idpay_consent_start gopay; }
        location = /callback      { idpay_consent_callback gopay; }
        location /generic/        { idpay_pass generic/; }
    }
}
CONF
$t->run;

# A person gives consent, in the browser.
give($t, $sims{gopay}, 581);

my @secrets = map { $t->secret_value($_) } qw(plusid_api_key
    passportreader_public_key passportreader_secret plasmapay_api_key
    plaid_client_id plaid_secret generic_key gopay_client_id
    gopay_client_secret);
push @secrets, map { $_->{token} } @{ $sims{gopay}->act(do => 'issued') };

my $failed = 0;
$| = 1;
$failed += !show($_) for @calls;

say_line($failed ? "$failed of " . @calls . ' calls did not work'
                 : 'all ' . @calls . ' calls worked');
keep_running() if $ENV{KEEP};

exit($failed ? 1 : 0);


# Makes one call and shows it. True when it worked.
sub show {
    my $call = shift;

    my $sim  = $sims{ $call->{name} };
    my $sent = request_of($call);
    my $r    = $t->http($call->{call} =~ /^(\w+)/, '', raw => $sent);
    my $seen = $sim->last_request;

    say_line('== ' . $call->{name} . ' ' . '=' x (WIDTH - 4
                - length $call->{name}));
    side_by_side(
        [ 'the caller sent',       lines($sent) ],
        [ 'the provider received', lines($seen ? $seen->{raw} : '(nothing)') ],
    );
    say_line('', 'and this came back:', '');

    my @body = wrap(WIDTH - 2, lines($r->body));
    splice @body, BODY_LINES, @body, '...' if @body > BODY_LINES;
    say_line(map {"  $_"} ($r->raw =~ /^([^\r\n]*)/)[0] || $r->error // '',
        (map {"Content-Type: $_"} $r->headers('Content-Type')), '', @body);
    say_line('');

    return $seen && $r->status == 200;
}


sub request_of {
    my $call = shift;
    my $body = $call->{body};

    return join "\r\n", "$call->{call} HTTP/1.1",
        'Host: 127.0.0.1:' . $t->port(8080),
        defined $body ? ($json, 'Content-Length: ' . length $body) : (),
        '', $body // '';
}


sub lines { return split /\r?\n/, shift }


sub wrap {
    my ($width, @lines) = @_;

    my $more = $width - 2;
    return map {
        my ($first, $rest) = mask($_) =~ /^(.{0,$width})(.*)/s;
        ($first, map {"  $_"} $rest =~ /(.{1,$more})/sg);
    } @lines;
}


sub side_by_side {
    my ($left, $right) = @_;

    my $width = int((WIDTH - 3) / 2);
    my @left  = wrap($width, shift @$left,  '', @$left);
    my @right = wrap($width, shift @$right, '', @$right);

    while (@left || @right) {
        say_line(sprintf "%-${width}s | %s", shift @left // '',
            shift @right // '');
    }
    return;
}


# The secrets in each spelling that a provider is sent. The longest goes
# first: a pair holds each of its halves.
sub mask {
    my $line = shift;

    my $pair = encode_base64("$secrets[1]:$secrets[2]", '');
    my $any  = join '|', map {quotemeta}
        sort { length $b <=> length $a } $pair,
        map { ($_, url_escape($_)) } @secrets;

    return $line =~ s/$any/********/gr;
}


# Nothing reaches the terminal but through here.
sub say_line {
    my @lines = @_;

    die "a secret was not masked\n"
        if leaks(join("\n", @lines), map { forms_of($_) } @secrets);
    print map { s/\s+$//r . "\n" } @lines;
    return;
}


sub keep_running {
    my $end = 0;
    local @SIG{qw(INT TERM HUP)} = (sub { $end = 1 }) x 3;
    my $gateway = 'http://127.0.0.1:' . $t->port(8080);

    say_line('', 'logs and configuration: ' . $t->dir, "gateway: $gateway",
        map { sprintf '%-15s https://%s (%s)', "$_:", $sims{$_}->address,
            $sims{$_}->host } sort keys %sims);
    say_line('', 'for example:');
    for (@calls) {
        my ($method, $uri) = split / /, $_->{call};
        my @data = $_->{body} ? ("-H '$json'", "-d '$_->{body}'") : ();
        say_line('', join " \\\n       ", "  curl -si '$gateway$uri'", @data);
    }
    say_line('', 'Ctrl-C ends it');

    sleep 1 while !$end;
    return;
}
