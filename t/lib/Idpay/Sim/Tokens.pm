package Idpay::Sim::Tokens;

# What a provider knows of the tokens that it gave: those of applications,
# those of consents, which rotate, and opaque bearers. Where there can be a
# refusal a method returns ($result, ...), and $result is 'ok' or the reason.
#
#   ->now                         by the provider's own clock
#   ->ahead                       seconds that it is ahead of the time
#   ->life                        {kind => seconds} of what is made from now on
#   ->exp ->expires_in            what is told of it: "own" (the truth),
#                                 "absent", "fractional", or any JSON text
#   ->clock_in_jwt                exp is a time of that clock
#
#   ->code($profile, %bound)      a code; bound: client, redirect_uri
#   ->redeem($code, %bound)       and the tokens, see below
#   ->refresh($token, $client)    the same; another result than ok may have
#                                 ended the family
#   ->revoke($token)              by the refresh token that is current
#   ->application                 a token
#   ->bearer                      its answer, see below
#   ->judge($token)               and what is known of it: {kind, profile, ...}
#   ->profile_of($string)         of a code or a token
#
#   ->live($profile)              families that live; undef: of everybody
#   ->end(@families)              all tokens of them are revoked
#   ->expire($kind, $profile)     how many there were; kinds: application,
#                                 client, refresh, code, bearer
#   ->families                    those that live, for a test to look at
#   ->issued                      [{kind, profile, token}, ...] ever
#
# A family is what began with one consent: its refresh token, which each use
# replaces, and the access tokens that were got. A refresh token that comes
# again has been stolen or was kept by mistake; nobody knows, so the family
# ends.

use Mojo::Base -base, -signatures;

use Digest::SHA qw(sha256 sha256_hex);
use Mojo::JSON  qw(encode_json);
use Mojo::Util  qw(b64_encode);
use Time::HiRes ();

# A signature of RS256 has as many bytes as the key; a hash has 32.
use constant { HASHES => 8, APPLICATION => 'http://auth/app/327' };

has ahead        => 0;
has exp          => 'own';
has expires_in   => 'own';
has clock_in_jwt => 0;
has issued       => sub { [] };
has begun        => sub { [] };
has known        => sub { {} };
has seed         => sub { "$$ " . Time::HiRes::time() };
has life         => sub {
    return { application => 3600, client => 3600, bearer => 1800, code => 600 };
};


sub now ($self) { return Time::HiRes::time() + $self->ahead }


# 32 bytes that nobody has seen yet.
sub _fresh ($self) {
    return sha256($self->seed . ' ' . ++$self->{made});
}


sub _base64url ($bytes) {
    return b64_encode($bytes, '') =~ tr{+/}{-_}r =~ s/=+$//r;
}


# JSON text, or undef: nothing is told.
sub _told ($how, $truth) {
    return int $truth         if $how eq 'own';
    return int($truth) . '.5' if $how eq 'fractional';
    return $how eq 'absent' ? undef : $how;
}


# Of [name, JSON text], in that order; without a text there is no member.
sub _object (@members) {
    return '{' . join(',',
        map {qq{"$_->[0]":$_->[1]}} grep { defined $_->[1] } @members) . '}';
}


sub _jwt ($self, @members) {
    my $head = '{"kid":"default","typ":"JWT","alg":"RS256"}';
    my $jti  = unpack 'q', $self->_fresh;

    return join '.', map { _base64url($_) } $head,
        _object(@members, [ jti => qq{"$jti"} ]),
        join '', map { $self->_fresh } 1 .. HASHES;
}


sub _access_jwt ($self, $kind, @scopes) {
    my $now = $self->clock_in_jwt ? $self->now : Time::HiRes::time();

    return $self->_jwt(
        [ sub    => '"' . APPLICATION . '"' ],
        [ iss    => '"gopay.com"' ],
        [ scopes => encode_json(\@scopes) =~ s{\\/}{/}gr ],
        [ exp    => _told($self->exp, $now + $self->life->{$kind}) ],
    );
}


sub _refresh_jwt ($self) {
    my $uuid = join '-', unpack 'A8 A4 A4 A4 A12', sha256_hex($self->_fresh);

    return $self->_jwt([ sub => qq{"$uuid"} ], [ iss => '"gopay.com"' ]);
}


# From now on $token is good, for as long as its kind lives.
sub _issue ($self, $kind, $token, %more) {
    my $life = $self->life->{$kind};

    $self->known->{$token} = {
        kind    => $kind,
        token   => $token,
        expires => defined $life ? $self->now + $life : undef,
        %more,
    };
    push @{ $self->issued },
        { kind => $kind, token => $token, profile => $more{profile} };
    return $token;
}


sub _is_of ($entry, $kind) { return $entry && $entry->{kind} eq $kind }


sub _expired ($self, $entry) {
    return defined $entry->{expires} && $self->now >= $entry->{expires};
}


# Whether what was bound to a value came with another one.
sub _differs ($bound, $given) {
    return defined $bound && $bound ne ($given // '');
}


sub code ($self, $profile, %bound) {
    my $code = substr _base64url($self->_fresh), 0, 12;

    return $self->_issue(code => $code, profile => $profile, %bound);
}


sub redeem ($self, $code, %bound) {
    my $entry = $self->known->{$code};

    return 'unknown' if !_is_of($entry, 'code');
    return 'other_client' if _differs($entry->{client}, $bound{client});
    return 'used'         if $entry->{used};
    return 'expired'      if $self->_expired($entry);
    return 'redirect_uri'
        if _differs($entry->{redirect_uri}, $bound{redirect_uri});

    $entry->{used} = 1;
    my $family = {
        live      => 1,
        profile   => $entry->{profile},
        client    => $entry->{client},
        access    => [],
        refreshes => 0,
    };
    push @{ $self->begun }, $family;
    return (ok => $self->_next($family));
}


# The next pair of tokens of a family.
sub _next ($self, $family) {
    my $profile = $family->{profile};
    my %of      = (family => $family, profile => $profile);
    my @scopes  = ('perm.client.identification',
        "http://client/clientprofile/$profile");

    my $access = $self->_access_jwt(client => @scopes);
    push @{ $family->{access} }, $self->_issue(client => $access, %of);
    $family->{refresh} = $self->_issue(refresh => $self->_refresh_jwt, %of);

    return {
        refreshToken    => $family->{refresh},
        accessToken     => $access,
        clientProfileId => $profile + 0,
    };
}


sub refresh ($self, $token, $client) {
    my $entry = $self->known->{$token};
    return 'unknown' if !_is_of($entry, 'refresh');

    my $family = $entry->{family};
    return 'other_client' if _differs($family->{client}, $client);
    return 'revoked'      if !$family->{live};

    if ($token ne $family->{refresh}) {
        $self->end($family);
        return 'spent';
    }
    return 'expired' if $self->_expired($entry);

    $family->{refreshes}++;
    return (ok => $self->_next($family));
}


sub revoke ($self, $token) {
    my $entry  = $self->known->{$token};
    my $family = $entry && $entry->{family};

    return 'unknown'
        if !$family || !$family->{live} || $token ne $family->{refresh};

    $self->end($family);
    return 'ok';
}


sub application ($self) {
    return $self->_issue(application =>
            $self->_access_jwt(application => 'perm.client.prefill'));
}


# Its answer as JSON text: expires_in may be anything.
sub bearer ($self) {
    my ($token, $refresh) = map { $self->_issue($_, _base64url($self->_fresh)) }
        qw(bearer bearer_refresh);

    return _object(
        [ token_type    => '"bearer"' ],
        [ access_token  => qq{"$token"} ],
        [ expires_in    => _told($self->expires_in, $self->life->{bearer}) ],
        [ refresh_token => qq{"$refresh"} ],
    );
}


sub judge ($self, $token) {
    my $entry = $self->known->{$token} or return 'unknown';

    return (wrong_kind => $entry)
        if $entry->{kind} !~ /^(?:application|client|bearer)$/;
    return (revoked => $entry)
        if $entry->{family} && !$entry->{family}{live};
    return ($self->_expired($entry) ? 'expired' : 'ok', $entry);
}


sub profile_of ($self, $string) {
    my $entry = $self->known->{$string} or return;
    return $entry->{profile};
}


sub live ($self, $profile) {
    return grep {
        $_->{live} && (!defined $profile || $_->{profile} == $profile)
    } @{ $self->begun };
}


sub end ($self, @families) {
    $_->{live} = 0 for @families;
    return scalar @families;
}


sub expire ($self, $kind, $profile) {
    my @found = grep {
        $_->{kind} eq $kind
            && !$self->_expired($_)
            && (!defined $profile || ($_->{profile} // 0) == $profile)
    } values %{ $self->known };

    $_->{expires} = $self->now for @found;
    return scalar @found;
}


sub families ($self) {
    return [
        map {
            my $family = $_;
            +{  profile   => $family->{profile} + 0,
                refreshes => $family->{refreshes},
                refresh   => $family->{refresh},
                access    => [
                    grep { ($self->judge($_))[0] eq 'ok' }
                        @{ $family->{access} }
                ],
            };
        } $self->live(undef)
    ];
}


1;
